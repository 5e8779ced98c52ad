//! Media over plain HTTP: ranges as browsers ask them, and the ways in which servers fail.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Response, StatusCode, header};
use futures_util::stream::{self, StreamExt};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::{SiteAnswer, World, count_up};

/// How a media address misbehaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MediaFault {
    /// Always this status.
    Status(u16),
    /// 503 twice, then sound.
    UnavailableTwice,
    /// Every answer ends after half of what it promised.
    Truncated,
    /// Every connection is reset in the middle.
    Reset,
    /// Sends some bytes, then nothing for ever.
    Stall,
    /// Sends a kilobyte a second.
    Drip,
    /// A web page that calls itself a video.
    Html,
    /// An empty body.
    Empty,
}

type Chunk = Result<Bytes, io::Error>;

/// `GET /media/ID`.
pub(super) async fn serve(
    State(world): State<Arc<World>>,
    Path(site_id): Path<String>,
    headers: HeaderMap,
) -> Response<Body> {
    world.asked.media.fetch_add(1, Ordering::Relaxed);
    let tried = count_up(&world.media_tries, &site_id);
    let Some(video) = world.video(&site_id) else { return status(StatusCode::NOT_FOUND) };
    let fault = match video.answer {
        SiteAnswer::Media(fault) => Some(fault),
        _ => None,
    };
    let bytes = match fault {
        Some(MediaFault::Status(code)) => {
            return status(StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
        }
        Some(MediaFault::UnavailableTwice) if tried < 2 => return status(StatusCode::SERVICE_UNAVAILABLE),
        Some(MediaFault::Html) => Bytes::from_static(b"<!doctype html><title>Sorry</title><p>Not a video."),
        Some(MediaFault::Empty) => Bytes::new(),
        _ => match tokio::fs::read(&video.file).await {
            Ok(bytes) => Bytes::from(bytes),
            Err(_) => return status(StatusCode::NOT_FOUND),
        },
    };
    let part = headers.get(header::RANGE).and_then(|range| range.to_str().ok()).and_then(Range::read);
    answer(bytes, part, fault)
}

/// A range of bytes; `end` is the last one inside.
struct Range {
    start: usize,
    end: Option<usize>,
}

impl Range {
    fn read(text: &str) -> Option<Self> {
        let (start, end) = text.strip_prefix("bytes=")?.split_once('-')?;
        Some(Self { start: start.parse().ok()?, end: end.parse().ok() })
    }
}

fn answer(bytes: Bytes, part: Option<Range>, fault: Option<MediaFault>) -> Response<Body> {
    let size = bytes.len();
    let mut response = Response::builder().header(header::CONTENT_TYPE, "video/mp4");
    let body = match part {
        // A server that ignores ranges answers an empty file whole.
        Some(_) if size == 0 => bytes,
        Some(range) if range.start >= size => {
            let response = response.status(StatusCode::RANGE_NOT_SATISFIABLE);
            return built(
                response.header(header::CONTENT_RANGE, format!("bytes */{size}")).body(Body::empty()),
            );
        }
        Some(range) => {
            let end = range.end.map_or(size, |end| (end + 1).min(size)).max(range.start);
            let last = end.saturating_sub(1);
            response = response
                .status(StatusCode::PARTIAL_CONTENT)
                .header(header::CONTENT_RANGE, format!("bytes {}-{last}/{size}", range.start));
            bytes.slice(range.start..end)
        }
        None => bytes,
    };
    response = response.header(header::ACCEPT_RANGES, "bytes").header(header::CONTENT_LENGTH, body.len());
    built(response.body(faulty(body, fault)))
}

fn faulty(bytes: Bytes, fault: Option<MediaFault>) -> Body {
    let half = bytes.slice(..bytes.len() / 2);
    match fault {
        Some(MediaFault::Truncated) => {
            let cut: Chunk = Err(io::ErrorKind::ConnectionAborted.into());
            Body::from_stream(stream::iter([Ok(half), cut]))
        }
        Some(MediaFault::Stall) => {
            Body::from_stream(stream::iter([Ok::<_, Infallible>(half)]).chain(stream::pending()))
        }
        Some(MediaFault::Drip) => Body::from_stream(stream::unfold(bytes, |mut rest| async move {
            if rest.is_empty() {
                return None;
            }
            tokio::time::sleep(Duration::from_millis(250)).await;
            let drop = rest.split_to(rest.len().min(256));
            Some((Ok::<_, Infallible>(drop), rest))
        })),
        _ => Body::from(bytes),
    }
}

fn status(code: StatusCode) -> Response<Body> {
    built(Response::builder().status(code).body(Body::empty()))
}

fn built(response: Result<Response<Body>, axum::http::Error>) -> Response<Body> {
    response.unwrap_or_else(|_| Response::new(Body::empty()))
}

/// A port of its own whose connections all end in a reset: promised much, sent little.
pub(super) async fn reset_all(listener: TcpListener) {
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(send_and_reset(stream));
        }
    }
}

async fn send_and_reset(mut stream: TcpStream) -> io::Result<()> {
    let mut request = [0; 4_096];
    let _ = stream.read(&mut request).await?;
    let head = b"HTTP/1.1 200 OK\r\nContent-Type: video/mp4\r\nContent-Length: 1000000\r\n\r\n";
    stream.write_all(head).await?;
    stream.write_all(&[0; 10_000]).await?;
    tokio::time::sleep(Duration::from_millis(50)).await;
    stream.set_zero_linger()
}
