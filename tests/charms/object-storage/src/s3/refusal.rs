//! What the store refuses, in S3's words.

use s3s::{S3Error, s3_error};

use crate::store::Refused;

pub(super) fn refusal(refused: Refused) -> S3Error {
    match refused {
        Refused::NoSuchBucket => s3_error!(NoSuchBucket, "The specified bucket does not exist"),
        Refused::NoSuchKey => s3_error!(NoSuchKey, "The specified key does not exist."),
        Refused::NoSuchUpload => s3_error!(NoSuchUpload, "The specified multipart upload does not exist."),
        Refused::BucketExists => s3_error!(BucketAlreadyOwnedByYou, "The bucket exists and is yours."),
        Refused::BucketNotEmpty => s3_error!(BucketNotEmpty, "The bucket you tried to delete is not empty"),
        Refused::PreconditionFailed => {
            s3_error!(PreconditionFailed, "At least one of the pre-conditions you specified did not hold")
        }
        Refused::InvalidPart => s3_error!(InvalidPart, "One or more of the specified parts could not be found."),
        Refused::InvalidPartOrder => s3_error!(InvalidPartOrder, "The list of parts was not in ascending order."),
        Refused::PartTooSmall => s3_error!(EntityTooSmall, "A part other than the last is smaller than 5 MiB."),
        Refused::Io(err) => {
            eprintln!("object-storage: on disk: {err}");
            s3_error!(InternalError, "the object store could not do it: {err}")
        }
    }
}
