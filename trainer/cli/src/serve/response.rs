//! What is answered to a request: whole files, parts of files, "you have it already", and errors.

use std::{
    fs::File,
    io::{self, Cursor, Read, Seek, SeekFrom},
    ops::Range,
    path::Path,
};

use tiny_http::{Header, Method, Response, StatusCode};

use super::files::{Found, Target, find};

/// An answer whose body is read while it is sent.
pub(super) type Answer = Response<Box<dyn Read + Send>>;

/// Answers a request for `url` under `root`.
pub(super) fn answer(root: &Path, method: &Method, url: &str, request: &[Header]) -> Answer {
    match method {
        Method::Get | Method::Head => {}
        Method::Options => return preflight(),
        _ => {
            return text(405, "only GET and HEAD are answered here")
                .with_header(header("Allow", "GET, HEAD, OPTIONS"));
        }
    }
    match find(root, url) {
        Target::File(found) => file(found, request),
        Target::Redirect(place) => {
            text(301, "the folder's page is here").with_header(header("Location", &place))
        }
        Target::NoIndex => text(404, "this folder has no index.html"),
        Target::NotFound => text(404, "there is no such file"),
        Target::Forbidden => text(403, "this path is not served"),
        Target::BadRequest => text(400, "this path cannot be read"),
    }
}

/// A file, as far as the visitor wants and lacks it.
fn file(found: Found, request: &[Header]) -> Answer {
    let asked = |name: &'static str| field(request, name);
    let known = asked("If-None-Match").is_some_and(|tags| {
        tags == "*"
            || tags
                .split(',')
                .any(|tag| tag.trim().trim_start_matches("W/") == found.etag)
    });
    if known {
        return with_file_headers(base(304, Box::new(io::empty()), found.len), &found);
    }
    // A part of another version of the file would be of no use.
    let same_version = asked("If-Range").is_none_or(|tag| tag == found.etag);
    let range = asked("Range")
        .filter(|_| same_version)
        .map_or(Part::Whole, |range| part(range, found.len));
    match range {
        Part::Whole => send(200, found, None),
        Part::Bytes(range) => send(206, found, Some(range)),
        Part::Unsatisfiable => {
            let size = format!("bytes */{}", found.len);
            text(416, "the file is shorter than that").with_header(header("Content-Range", &size))
        }
    }
}

fn send(status: u16, mut found: Found, range: Option<Range<u64>>) -> Answer {
    let bytes = range.clone().unwrap_or(0..found.len);
    if bytes.start > 0 && found.file.seek(SeekFrom::Start(bytes.start)).is_err() {
        return text(500, "the file cannot be read");
    }
    let length = bytes.end - bytes.start;
    let body = match found.file.try_clone() {
        Ok(file) => exactly(file, length),
        Err(_) => return text(500, "the file cannot be read"),
    };
    let mut answer = with_file_headers(base(status, body, length), &found);
    if range.is_some() {
        let place = format!("bytes {}-{}/{}", bytes.start, bytes.end - 1, found.len);
        answer = answer.with_header(header("Content-Range", &place));
    }
    answer
}

/// The next `length` bytes of `file`; a file that has become longer meanwhile must not run past the announced length.
fn exactly(file: File, length: u64) -> Box<dyn Read + Send> {
    Box::new(file.take(length))
}

/// What a `Range` field asks for.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// Everything: the field is absent, of an unknown unit, malformed, or names several ranges.
    Whole,
    Bytes(Range<u64>),
    Unsatisfiable,
}

/// Reads a `Range` field (RFC 9110, section 14) for a file of `len` bytes.
fn part(range: &str, len: u64) -> Part {
    let Some((first, last)) = range
        .trim()
        .strip_prefix("bytes=")
        .and_then(|range| range.split_once('-'))
    else {
        return Part::Whole;
    };
    match (first.trim().parse::<u64>(), last.trim().parse::<u64>()) {
        // The last so many bytes.
        (Err(_), Ok(0)) if first.trim().is_empty() => Part::Unsatisfiable,
        (Err(_), Ok(_)) if first.trim().is_empty() && len == 0 => Part::Unsatisfiable,
        (Err(_), Ok(count)) if first.trim().is_empty() => {
            Part::Bytes(len.saturating_sub(count)..len)
        }
        (Ok(first), _) if first >= len => Part::Unsatisfiable,
        (Ok(first), Ok(last)) if last >= first => {
            Part::Bytes(first..last.saturating_add(1).min(len))
        }
        (Ok(first), Err(_)) if last.trim().is_empty() => Part::Bytes(first..len),
        _ => Part::Whole,
    }
}

fn with_file_headers(answer: Answer, found: &Found) -> Answer {
    answer
        .with_header(header("Content-Type", found.media_type))
        .with_header(header("ETag", &found.etag))
        .with_header(header("Accept-Ranges", "bytes"))
}

/// The answer to a browser that asks whether a page of another origin may ask.
fn preflight() -> Answer {
    base(204, Box::new(io::empty()), 0)
        .with_header(header("Access-Control-Allow-Methods", "GET, HEAD, OPTIONS"))
        .with_header(header(
            "Access-Control-Allow-Headers",
            "Range, If-None-Match, If-Range",
        ))
        // Chromium asks for this before a page of the public web may read from this machine.
        .with_header(header("Access-Control-Allow-Private-Network", "true"))
        .with_header(header("Access-Control-Max-Age", "600"))
}

fn text(status: u16, message: &str) -> Answer {
    let body = format!("{status}: {message}\n");
    let length = body.len() as u64;
    base(status, Box::new(Cursor::new(body)), length)
        .with_header(header("Content-Type", "text/plain; charset=utf-8"))
}

/// An answer with what all answers have.
fn base(status: u16, body: Box<dyn Read + Send>, length: u64) -> Answer {
    let headers = vec![
        header("Access-Control-Allow-Origin", "*"),
        header(
            "Access-Control-Expose-Headers",
            "Content-Length, Content-Range, ETag",
        ),
        // For pages that are isolated (COEP) and take the bundle from here.
        header("Cross-Origin-Resource-Policy", "cross-origin"),
        header("X-Content-Type-Options", "nosniff"),
        // Kept, but asked for again each time: files under development change.
        header("Cache-Control", "no-cache"),
        header("Server", "freeguide"),
    ];
    Response::new(
        StatusCode(status),
        headers,
        body,
        usize::try_from(length).ok(),
        None,
    )
    // Large files too are sent with their length, from which a page draws its progress bar.
    .with_chunked_threshold(usize::MAX)
}

/// The value of a request's field.
fn field<'a>(request: &'a [Header], name: &'static str) -> Option<&'a str> {
    request
        .iter()
        .find(|header| header.field.equiv(name))
        .map(|header| header.value.as_str())
}

/// A field of an answer. Every value is made by this server, in ASCII.
fn header(name: &str, value: &str) -> Header {
    Header::from_bytes(name, value).unwrap_or_else(|()| unreachable!("{name}: {value:?} is ASCII"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_read_as_the_standard_says() {
        assert_eq!(part("bytes=0-0", 10), Part::Bytes(0..1));
        assert_eq!(part("bytes=3-", 10), Part::Bytes(3..10));
        assert_eq!(part("bytes=2-99", 10), Part::Bytes(2..10));
        assert_eq!(part("bytes=-4", 10), Part::Bytes(6..10));
        assert_eq!(part("bytes=-40", 10), Part::Bytes(0..10));
        assert_eq!(part("bytes=0-18446744073709551615", 10), Part::Bytes(0..10));
        for past in ["bytes=10-", "bytes=10-12", "bytes=-0"] {
            assert_eq!(part(past, 10), Part::Unsatisfiable, "{past}");
        }
        assert_eq!(part("bytes=0-", 0), Part::Unsatisfiable);
        assert_eq!(part("bytes=-1", 0), Part::Unsatisfiable);
        for odd in [
            "",
            "bytes",
            "bytes=",
            "bytes=-",
            "bytes=5-3",
            "bytes=a-b",
            "items=0-1",
            "bytes=0-1,3-4",
        ] {
            assert_eq!(part(odd, 10), Part::Whole, "{odd}");
        }
    }
}
