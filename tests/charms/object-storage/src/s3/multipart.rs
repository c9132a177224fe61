//! Multipart uploads.

use s3s::dto::*;
use s3s::{S3Result, s3_error};

use super::Api;
use super::body::receive;
use super::objects::{checked_etag, condition, copy_source};
use super::reading::length;
use crate::store::{Attributes, PartInfo, UploadInfo};

const PARTS_MAX: i32 = 10_000;
const PAGE_MAX: i32 = 1000;

impl Api {
    pub(super) async fn begin(&self, input: CreateMultipartUploadInput) -> S3Result<CreateMultipartUploadOutput> {
        let CreateMultipartUploadInput { bucket, key, .. } = input;
        let attributes = Attributes {
            content_type: input.content_type,
            content_encoding: input.content_encoding,
            storage_class: input.storage_class.map(|class| class.as_str().to_owned()),
            user: input.metadata.unwrap_or_default().into_iter().collect(),
        };
        let (to_bucket, to_key) = (bucket.clone(), key.clone());
        let id = self.on_disk(move |store| store.begin_upload(&to_bucket, &to_key, attributes)).await?;
        Ok(CreateMultipartUploadOutput {
            bucket: Some(bucket),
            key: Some(key),
            upload_id: Some(id),
            ..Default::default()
        })
    }

    pub(super) async fn part(&self, input: UploadPartInput) -> S3Result<UploadPartOutput> {
        let number = part_number(input.part_number)?;
        let (upload, writer) = self
            .on_disk(move |store| Ok((store.upload(&input.bucket, &input.key, &input.upload_id)?, store.writer()?)))
            .await?;
        let writer = receive(writer, input.body).await?;
        let etag = checked_etag(&writer, input.content_md5.as_deref())?;
        let kept = etag.clone();
        self.on_disk(move |store| store.put_part(&upload, number, writer, kept)).await?;
        Ok(UploadPartOutput { e_tag: Some(ETag::Strong(etag)), ..Default::default() })
    }

    pub(super) async fn part_copy(&self, input: UploadPartCopyInput) -> S3Result<UploadPartCopyOutput> {
        let number = part_number(input.part_number)?;
        let (from_bucket, from_key) = copy_source(input.copy_source)?;
        let asked = input.copy_source_range.as_deref().map(Range::parse).transpose();
        let asked = asked.map_err(|_| s3_error!(InvalidArgument, "x-amz-copy-source-range"))?;
        let source = self.on_disk(move |store| store.open_object(&from_bucket, &from_key)).await?;
        let range = match asked {
            None => 0..source.0.size,
            Some(asked) => asked.check(source.0.size).map_err(|_| s3_error!(InvalidRange))?,
        };
        let copied = self.on_disk(move |store| {
            let upload = store.upload(&input.bucket, &input.key, &input.upload_id)?;
            let mut writer = store.writer()?;
            // Through memory, not by the kernel: a part of an object has a digest of its own.
            writer.digest_from(&source.1, range)?;
            let etag = crate::store::hex(&writer.md5());
            store.put_part(&upload, number, writer, etag.clone())?;
            Ok(etag)
        });
        let e_tag = Some(ETag::Strong(copied.await?));
        let result =
            CopyPartResult { e_tag, last_modified: Some(std::time::SystemTime::now().into()), ..Default::default() };
        Ok(UploadPartCopyOutput { copy_part_result: Some(result), ..Default::default() })
    }

    pub(super) async fn complete(
        &self,
        input: CompleteMultipartUploadInput,
    ) -> S3Result<CompleteMultipartUploadOutput> {
        let condition = condition(input.if_match, input.if_none_match)?;
        let parts = input.multipart_upload.and_then(|list| list.parts).unwrap_or_default();
        let named = |part: CompletedPart| Some((part_number(part.part_number?).ok()?, part.e_tag?.into_value()));
        let named: Option<Vec<_>> = parts.into_iter().map(named).collect();
        let named = named.ok_or_else(|| s3_error!(MalformedXML))?;
        let (bucket, key) = (input.bucket.clone(), input.key.clone());
        let meta = self
            .on_disk(move |store| {
                let upload = store.upload(&bucket, &key, &input.upload_id)?;
                store.complete(&upload, &named, &condition)
            })
            .await?;
        Ok(CompleteMultipartUploadOutput {
            location: Some(format!("/{}/{}", input.bucket, input.key)),
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(ETag::Strong(meta.etag)),
            ..Default::default()
        })
    }

    pub(super) async fn parts(&self, input: ListPartsInput) -> S3Result<ListPartsOutput> {
        let ListPartsInput { bucket, key, upload_id, .. } = input;
        let after = input.part_number_marker.unwrap_or(0);
        let max = input.max_parts.unwrap_or(PAGE_MAX).clamp(0, PAGE_MAX);
        let asked = (bucket.clone(), key.clone(), upload_id.clone());
        let parts = self.on_disk(move |store| store.parts(&store.upload(&asked.0, &asked.1, &asked.2)?)).await?;
        let mut parts: Vec<_> = parts.into_iter().map(part).filter(|part| part.part_number > Some(after)).collect();
        let limit = usize::try_from(max).unwrap_or_default();
        let is_truncated = parts.len() > limit;
        parts.truncate(limit);
        Ok(ListPartsOutput {
            bucket: Some(bucket),
            key: Some(key),
            upload_id: Some(upload_id),
            max_parts: Some(max),
            part_number_marker: Some(after),
            next_part_number_marker: parts.last().filter(|_| is_truncated).and_then(|part| part.part_number),
            is_truncated: Some(is_truncated),
            parts: Some(parts),
            ..Default::default()
        })
    }

    /// All of them on one page: nobody has 1,000 unfinished uploads here.
    pub(super) async fn uploads(&self, input: ListMultipartUploadsInput) -> S3Result<ListMultipartUploadsOutput> {
        let bucket = input.bucket.clone();
        let mut uploads = self.on_disk(move |store| store.uploads(&bucket)).await?;
        let prefix = input.prefix.unwrap_or_default();
        uploads.retain(|upload| upload.key.starts_with(&prefix));
        let named = |upload: UploadInfo| MultipartUpload {
            initiated: Some(upload.initiated().into()),
            key: Some(upload.key),
            upload_id: Some(upload.id),
            ..Default::default()
        };
        Ok(ListMultipartUploadsOutput {
            bucket: Some(input.bucket),
            prefix: Some(prefix),
            is_truncated: Some(false),
            uploads: Some(uploads.into_iter().map(named).collect()),
            ..Default::default()
        })
    }
}

fn part(info: PartInfo) -> Part {
    Part {
        part_number: i32::try_from(info.number).ok(),
        size: Some(length(info.size)),
        e_tag: Some(ETag::Strong(info.etag)),
        last_modified: Some(info.modified.into()),
        ..Default::default()
    }
}

fn part_number(number: i32) -> S3Result<u32> {
    match number {
        1..=PARTS_MAX => Ok(number.unsigned_abs()),
        _ => Err(s3_error!(InvalidArgument, "Part number must be an integer between 1 and 10000, inclusive")),
    }
}
