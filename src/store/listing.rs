//! Is this text a listing that rusoto can read? It unwraps every number and
//! every bool of it, and takes any other page for an empty listing. Pure.

/// Elements of `ListBucketResult` that hold a number or a bool.
const NUMBERS: [&str; 3] = ["Size", "KeyCount", "MaxKeys"];
const BOOLS: [&str; 1] = ["IsTruncated"];

/// The reason why not, or nothing. (Amazon S3 API reference, ListObjectsV2.)
pub(super) fn check(body: &[u8]) -> Result<(), &'static str> {
    let text = std::str::from_utf8(body).map_err(|_| "the listing is not UTF-8")?;
    if text.contains("<!") {
        return Err("the listing holds comments or declarations, which no store writes");
    }
    let mut elements = text.split('<').skip(1).map(element).filter(|(name, _)| !name.starts_with('?'));
    match elements.next() {
        Some((name, _)) if local(name) == "ListBucketResult" => {}
        _ => return Err("a listing was asked for, something else came"),
    }
    if !text.trim_end().ends_with("ListBucketResult>") {
        return Err("the listing is cut off");
    }
    let sound = |(name, value): (&str, &str)| match local(name) {
        name if NUMBERS.contains(&name) => value.parse::<i64>().is_ok(),
        name if BOOLS.contains(&name) => value.parse::<bool>().is_ok(),
        _ => true,
    };
    if elements.all(sound) { Ok(()) } else { Err("a number in the listing is none") }
}

/// What follows a `<`: the tag's name and the text behind the tag.
fn element(piece: &str) -> (&str, &str) {
    let (tag, text) = piece.split_once('>').unwrap_or((piece, ""));
    (tag.split([' ', '\t', '\r', '\n', '/']).next().unwrap_or(tag), text)
}

fn local(name: &str) -> &str {
    name.rsplit(':').next().unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_whole_listing_with_sound_numbers_is_read() {
        let of = |inside: &str| {
            format!("<?xml version=\"1.0\"?>\n<ListBucketResult xmlns=\"x\">{inside}</ListBucketResult>\n")
        };
        #[rustfmt::skip]
        let table = [
            (of("<IsTruncated>false</IsTruncated><Contents><Key>a</Key><Size>12</Size></Contents>"), true),
            (of(""),                                               true),
            (of("<Size>many</Size>"),                              false),
            (of("<Size></Size>"),                                  false),
            (of("<Size/>"),                                        false),
            (of("<x:Size a='1'>0x1</x:Size>"),                     false),
            (of("<Size>&#x31;x</Size>"),                           false),
            (of("<Size><![CDATA[many]]></Size>"),                  false),
            (of("<Size>1<!-- -->x</Size>"),                        false),
            (of("<Size>99999999999999999999</Size>"),              false),
            (of("<IsTruncated>True</IsTruncated>"),                false),
            ("".to_owned(),                                        false),
            ("<html><body>Log in</body></html>".to_owned(),        false),
            ("<ListBucketResult><Contents>".to_owned(),            false),
            ("<Error><Code>InternalError</Code></Error>".to_owned(), false),
        ];
        for (body, want) in table {
            assert_eq!(check(body.as_bytes()).is_ok(), want, "{body}");
        }
    }
}
