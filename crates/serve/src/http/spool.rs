//! Bodies that are files: to the disk as they come, bounded in size and in pauses.

use axum::body::Body;
use tokio::{fs::File, io::AsyncWriteExt};

use super::{
    body::{discard, frame_in_time},
    state::RequestLimits,
};
use crate::error::{ApiError, Kind};

/// Writes the body of a request into `file`.
///
/// # Errors
///
/// 413 over the limit, 408 where nothing comes for long, 400 where it breaks off, 503 where there is no room.
pub(crate) async fn spool(mut body: Body, limits: &RequestLimits, file: &mut File) -> Result<(), ApiError> {
    let full = |error| ApiError::unavailable(format!("the file cannot be kept: {error}"));
    let mut bytes = 0;
    while let Some(data) = frame_in_time(&mut body, limits).await? {
        bytes += data.len();
        if bytes > limits.upload_bytes {
            discard(&mut body, limits.body_bytes).await;
            let detail = format!("the file has more than {} bytes", limits.upload_bytes);
            return Err(ApiError::new(Kind::TooLarge, detail));
        }
        file.write_all(&data).await.map_err(full)?;
    }
    file.flush().await.map_err(full)
}
