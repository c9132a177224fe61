//! Lists, HEAD and GET.

use std::time::SystemTime;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::StatusCode;
use s3s::dto::*;
use s3s::{S3Response, S3Result, s3_error};

use super::body::FileBody;
use super::{Api, done};
use crate::store::{Entry, Meta, Page, Query};

const PAGE_MAX: i32 = 1000;

impl Api {
    pub(super) async fn buckets(&self) -> S3Result<ListBucketsOutput> {
        let buckets = self.on_disk(|store| Ok(store.buckets())).await?;
        let named = |(name, created): (String, SystemTime)| Bucket {
            name: Some(name),
            creation_date: Some(created.into()),
            ..Default::default()
        };
        Ok(ListBucketsOutput { buckets: Some(buckets.into_iter().map(named).collect()), ..Default::default() })
    }

    pub(super) async fn list_v2(&self, input: ListObjectsV2Input) -> S3Result<ListObjectsV2Output> {
        let after = match &input.continuation_token {
            Some(token) => from_token(token)?,
            None => input.start_after.clone().unwrap_or_default(),
        };
        let max = page_size(input.max_keys)?;
        let page = self.page(&input.bucket, &input.prefix, &input.delimiter, after, max).await?;
        let shown = Shown(input.encoding_type.as_ref().is_some_and(|kind| kind.as_str() == EncodingType::URL));
        let (contents, prefixes, next) = shown.page(page);
        Ok(ListObjectsV2Output {
            key_count: Some(count(contents.len() + prefixes.len())),
            is_truncated: Some(next.is_some()),
            next_continuation_token: next.as_deref().map(to_token),
            contents: Some(contents),
            common_prefixes: Some(prefixes),
            max_keys: Some(max),
            name: Some(input.bucket),
            prefix: Some(shown.text(input.prefix.unwrap_or_default())),
            delimiter: input.delimiter.map(|text| shown.text(text)),
            start_after: input.start_after.map(|text| shown.text(text)),
            continuation_token: input.continuation_token,
            encoding_type: input.encoding_type,
            ..Default::default()
        })
    }

    pub(super) async fn list_v1(&self, input: ListObjectsInput) -> S3Result<ListObjectsOutput> {
        let max = page_size(input.max_keys)?;
        let marker = input.marker.clone().unwrap_or_default();
        let page = self.page(&input.bucket, &input.prefix, &input.delimiter, marker.clone(), max).await?;
        let shown = Shown(input.encoding_type.as_ref().is_some_and(|kind| kind.as_str() == EncodingType::URL));
        let (contents, prefixes, next) = shown.page(page);
        Ok(ListObjectsOutput {
            is_truncated: Some(next.is_some()),
            // Without a delimiter S3 leaves it out: the last key is the marker.
            next_marker: next.filter(|_| input.delimiter.is_some()).map(|text| shown.text(text)),
            contents: Some(contents),
            common_prefixes: Some(prefixes),
            max_keys: Some(max),
            name: Some(input.bucket),
            prefix: Some(shown.text(input.prefix.unwrap_or_default())),
            delimiter: input.delimiter.map(|text| shown.text(text)),
            marker: Some(shown.text(marker)),
            encoding_type: input.encoding_type,
            ..Default::default()
        })
    }

    async fn page(
        &self,
        bucket: &str,
        prefix: &Option<String>,
        delimiter: &Option<String>,
        after: String,
        max: i32,
    ) -> S3Result<Page<Entry>> {
        let bucket = bucket.to_owned();
        let query = Query {
            prefix: prefix.clone().unwrap_or_default(),
            delimiter: delimiter.clone().unwrap_or_default(),
            after,
            max: usize::try_from(max).unwrap_or_default(),
        };
        self.on_disk(move |store| store.list(&bucket, &query)).await
    }

    pub(super) async fn head(&self, input: HeadObjectInput) -> S3Result<S3Response<HeadObjectOutput>> {
        let HeadObjectInput { bucket, key, .. } = input;
        let (meta, _) = self.on_disk(move |store| store.open_object(&bucket, &key)).await?;
        let unchanged = Wanted {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            if_modified_since: input.if_modified_since,
            if_unmodified_since: input.if_unmodified_since,
        };
        unchanged.check(&meta)?;
        let range = range_of(input.range, meta.size)?;
        let mut answer = S3Response::new(HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some(length(range.bytes.end - range.bytes.start)),
            content_range: range.header,
            content_type: Some(content_type(&meta)),
            content_encoding: meta.attributes.content_encoding.clone(),
            e_tag: Some(ETag::Strong(meta.etag.clone())),
            last_modified: Some(meta.modified().into()),
            storage_class: meta.attributes.storage_class.clone().map(StorageClass::from),
            metadata: user_metadata(&meta),
            ..Default::default()
        });
        answer.status = range.status;
        Ok(answer)
    }

    pub(super) async fn get(&self, input: GetObjectInput) -> S3Result<S3Response<GetObjectOutput>> {
        let GetObjectInput { bucket, key, .. } = input;
        let (meta, file) = self.on_disk(move |store| store.open_object(&bucket, &key)).await?;
        let unchanged = Wanted {
            if_match: input.if_match,
            if_none_match: input.if_none_match,
            if_modified_since: input.if_modified_since,
            if_unmodified_since: input.if_unmodified_since,
        };
        unchanged.check(&meta)?;
        let range = range_of(input.range, meta.size)?;
        let bytes = range.bytes.clone();
        let body = self.on_disk(move |_| Ok(FileBody::open(file, bytes)?)).await?;
        let mut answer = done(GetObjectOutput {
            body: Some(body),
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some(length(range.bytes.end - range.bytes.start)),
            content_range: range.header,
            content_type: Some(content_type(&meta)),
            content_encoding: meta.attributes.content_encoding.clone(),
            e_tag: Some(ETag::Strong(meta.etag.clone())),
            last_modified: Some(meta.modified().into()),
            storage_class: meta.attributes.storage_class.clone().map(StorageClass::from),
            metadata: user_metadata(&meta),
            ..Default::default()
        })?;
        answer.status = range.status;
        Ok(answer)
    }
}

/// The conditions of a read, in the order in which HTTP wants them looked at.
struct Wanted {
    if_match: Option<ETagCondition>,
    if_none_match: Option<ETagCondition>,
    if_modified_since: Option<Timestamp>,
    if_unmodified_since: Option<Timestamp>,
}

impl Wanted {
    fn check(self, meta: &Meta) -> S3Result<()> {
        let named = |condition: &ETagCondition| match condition {
            ETagCondition::Any => true,
            ETagCondition::ETag(etag) => etag.value() == meta.etag,
        };
        let modified = Timestamp::from(meta.modified());
        let failed = match (&self.if_match, &self.if_unmodified_since) {
            (Some(condition), _) => !named(condition),
            (None, Some(since)) => modified > *since,
            (None, None) => false,
        };
        if failed {
            return Err(s3_error!(PreconditionFailed));
        }
        let unchanged = match (&self.if_none_match, &self.if_modified_since) {
            (Some(condition), _) => named(condition),
            (None, Some(since)) => modified <= *since,
            (None, None) => false,
        };
        if unchanged { Err(s3_error!(NotModified)) } else { Ok(()) }
    }
}

struct Ranged {
    bytes: std::ops::Range<u64>,
    header: Option<String>,
    status: Option<StatusCode>,
}

fn range_of(range: Option<Range>, size: u64) -> S3Result<Ranged> {
    match range {
        None => Ok(Ranged { bytes: 0..size, header: None, status: None }),
        Some(range) => {
            let bytes = range.check(size).map_err(|_| s3_error!(InvalidRange))?;
            let header = Some(format!("bytes {}-{}/{size}", bytes.start, bytes.end.saturating_sub(1)));
            Ok(Ranged { bytes, header, status: Some(StatusCode::PARTIAL_CONTENT) })
        }
    }
}

fn content_type(meta: &Meta) -> String {
    meta.attributes.content_type.clone().unwrap_or_else(|| "binary/octet-stream".to_owned())
}

fn user_metadata(meta: &Meta) -> Option<Metadata> {
    let user = &meta.attributes.user;
    (!user.is_empty()).then(|| user.iter().map(|(name, text)| (name.clone(), text.clone())).collect())
}

fn page_size(asked: Option<i32>) -> S3Result<i32> {
    match asked {
        Some(..0) => Err(s3_error!(InvalidArgument, "max-keys must not be negative")),
        asked => Ok(asked.unwrap_or(PAGE_MAX).min(PAGE_MAX)),
    }
}

pub(super) fn length(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn count(things: usize) -> i32 {
    i32::try_from(things).unwrap_or(i32::MAX)
}

/// Opaque to clients, so that none builds its own.
fn to_token(last: &str) -> String {
    URL_SAFE_NO_PAD.encode(last)
}

fn from_token(token: &str) -> S3Result<String> {
    let refused = || s3_error!(InvalidArgument, "The continuation token provided is incorrect");
    String::from_utf8(URL_SAFE_NO_PAD.decode(token).map_err(|_| refused())?).map_err(|_| refused())
}

/// How names are written in a list: as they are, or percent-encoded when the client asked for that.
#[derive(Clone, Copy)]
struct Shown(bool);

impl Shown {
    fn text(self, text: String) -> String {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~/".contains(&byte);
        match self.0 {
            false => text,
            true => text.bytes().fold(String::with_capacity(text.len()), |mut out, byte| {
                match plain(byte) {
                    true => out.push(char::from(byte)),
                    false => out.push_str(&format!("%{byte:02X}")),
                }
                out
            }),
        }
    }

    fn page(self, page: Page<Entry>) -> (Vec<Object>, Vec<CommonPrefix>, Option<String>) {
        let object = |(key, entry): (String, Entry)| Object {
            key: Some(self.text(key)),
            size: Some(length(entry.size)),
            e_tag: Some(ETag::Strong(entry.etag.into())),
            last_modified: Some(entry.modified.into()),
            storage_class: Some(ObjectStorageClass::from_static(ObjectStorageClass::STANDARD)),
            ..Default::default()
        };
        let prefix = |text| CommonPrefix { prefix: Some(self.text(text)) };
        let contents = page.contents.into_iter().map(object).collect();
        (contents, page.prefixes.into_iter().map(prefix).collect(), page.next)
    }
}
