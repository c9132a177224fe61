//! PUT, copy and delete.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use s3s::dto::*;
use s3s::{S3Result, s3_error};

use super::Api;
use super::body::receive;
use crate::store::{Attributes, Condition, Writer, hex};

impl Api {
    pub(super) async fn put(&self, input: PutObjectInput) -> S3Result<PutObjectOutput> {
        let PutObjectInput { bucket, key, .. } = input;
        let attributes = Attributes {
            content_type: input.content_type,
            content_encoding: input.content_encoding,
            storage_class: input.storage_class.map(|class| class.as_str().to_owned()),
            user: input.metadata.unwrap_or_default().into_iter().collect(),
        };
        let condition = condition(input.if_match, input.if_none_match)?;
        let named = bucket.clone();
        let writer = self
            .on_disk(move |store| {
                store.require_bucket(&named)?;
                Ok(store.writer()?)
            })
            .await?;
        let writer = receive(writer, input.body).await?;
        let etag = checked_etag(&writer, input.content_md5.as_deref())?;
        let commit = {
            let etag = etag.clone();
            self.on_disk(move |store| store.commit(&bucket, &key, writer, etag, attributes, &condition))
        };
        commit.await?;
        Ok(PutObjectOutput { e_tag: Some(ETag::Strong(etag)), ..Default::default() })
    }

    pub(super) async fn copy(&self, input: CopyObjectInput) -> S3Result<CopyObjectOutput> {
        let (from_bucket, from_key) = copy_source(input.copy_source)?;
        let replaces =
            input.metadata_directive.as_ref().is_some_and(|asked| asked.as_str() == MetadataDirective::REPLACE);
        let replaced = Attributes {
            content_type: input.content_type,
            content_encoding: input.content_encoding,
            storage_class: input.storage_class.map(|class| class.as_str().to_owned()),
            user: input.metadata.unwrap_or_default().into_iter().collect(),
        };
        let (bucket, key) = (input.bucket, input.key);
        let copied = self.on_disk(move |store| {
            let (meta, file) = store.open_object(&from_bucket, &from_key)?;
            let mut writer = store.writer()?;
            writer.copy_from(&file, 0..meta.size)?;
            let attributes = if replaces { replaced } else { meta.attributes };
            store.commit(&bucket, &key, writer, meta.etag, attributes, &Condition::Always)
        });
        let meta = copied.await?;
        let result = CopyObjectResult {
            last_modified: Some(meta.modified().into()),
            e_tag: Some(ETag::Strong(meta.etag)),
            ..Default::default()
        };
        Ok(CopyObjectOutput { copy_object_result: Some(result), ..Default::default() })
    }

    pub(super) async fn delete_many(&self, input: DeleteObjectsInput) -> S3Result<DeleteObjectsOutput> {
        let quiet = input.delete.quiet == Some(true);
        let keys: Vec<_> = input.delete.objects.into_iter().map(|object| object.key).collect();
        let deleted = self.on_disk(move |store| {
            keys.iter().try_for_each(|key| store.delete(&input.bucket, key).map(drop))?;
            Ok(keys)
        });
        let named = |key| DeletedObject { key: Some(key), ..Default::default() };
        let deleted = deleted.await?.into_iter().map(named).collect();
        Ok(DeleteObjectsOutput { deleted: (!quiet).then_some(deleted), ..Default::default() })
    }
}

/// The etag of what was received, after the client's own word about it was heard.
pub(super) fn checked_etag(writer: &Writer, content_md5: Option<&str>) -> S3Result<String> {
    let md5 = writer.md5();
    match content_md5.map(|text| STANDARD.decode(text)) {
        None => {}
        Some(Ok(wanted)) if wanted == md5 => {}
        Some(Ok(wanted)) if wanted.len() == md5.len() => {
            return Err(s3_error!(BadDigest, "The Content-MD5 you specified did not match what we received."));
        }
        Some(_) => return Err(s3_error!(InvalidDigest, "The Content-MD5 you specified is not valid.")),
    }
    Ok(hex(&md5))
}

pub(super) fn condition(if_match: Option<ETagCondition>, if_none_match: Option<ETagCondition>) -> S3Result<Condition> {
    match (if_match, if_none_match) {
        (None, None) => Ok(Condition::Always),
        (None, Some(ETagCondition::Any)) => Ok(Condition::Absent),
        (Some(ETagCondition::ETag(etag)), None) => Ok(Condition::Etag(etag.into_value())),
        _ => Err(s3_error!(NotImplemented, "A header you provided implies functionality that is not implemented")),
    }
}

pub(super) fn copy_source(source: CopySource) -> S3Result<(String, String)> {
    match source {
        CopySource::Bucket { bucket, key, .. } => Ok((bucket.into(), key.into())),
        _ => Err(s3_error!(NotImplemented, "only bucket and key name a copy's source here")),
    }
}
