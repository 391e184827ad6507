//! A look ahead at whom a check is about.
//!
//! The credential of a call is looked up before its message is decoded, and a check by a service key would then look up its
//! subject by another statement. So a check by what may be a service key waits for its message, which comes right behind
//! the headers, often in a frame of its own, and both are asked about together. Where there is no message, there is no
//! answer about the key either before the deadline. Whoever else calls, or calls anything else, is looked up at once.
//!
//! That is all it is for: the message goes on as it came, a caller that is refused is refused for the same reason, and
//! what cannot be foreseen (a message in parts, compressed, malformed, or about a user id, which needs another right) is
//! asked about when it is its turn. Both answers come from after the call had arrived.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Body as HttpBody, Frame, SizeHint};
use prost::Message;
use prost::bytes::Bytes;
use tonic::Status;
use tonic::body::Body;

use crate::crypto::{TokenHash, TokenKind};
use crate::grpc::pb::v1::CheckAccessRequest;
use crate::grpc::pb::v1::check_access_request::Subject;

/// The method that is looked into. Not the one for many: for a caller that is nobody, that would be work for a hundred.
const CHECK_ACCESS: &str = "/rolecall.v1.AccessService/CheckAccess";
/// What a message begins with: whether it is compressed, and its length.
const PREFIX: usize = 5;

/// The token that a check is about, if it can be seen in the first part of the message, and the message as it came.
pub async fn subject_of(path: &str, mut body: Body) -> (Option<TokenHash>, Body) {
    if path != CHECK_ACCESS {
        return (None, body);
    }
    let first = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
    let data = first.as_ref().and_then(|frame| frame.as_ref().ok()?.data_ref());
    let subject = data.and_then(token_in);
    (subject, Body::new(Replayed { first: Some(first), rest: body }))
}

fn token_in(data: &Bytes) -> Option<TokenHash> {
    let (prefix, message) = data.split_at_checked(PREFIX)?;
    let (compressed, length) = prefix.split_first()?;
    let length = u32::from_be_bytes(length.try_into().ok()?);
    if *compressed != 0 || usize::try_from(length).ok()? != message.len() {
        return None;
    }
    match CheckAccessRequest::decode(message).ok()?.subject? {
        Subject::SessionToken(token) => TokenKind::Session.parse(&token),
        Subject::UserId(_) => None,
    }
}

/// A body whose first frame was looked at.
struct Replayed {
    first: Option<Option<Result<Frame<Bytes>, Status>>>,
    rest: Body,
}

impl HttpBody for Replayed {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        match self.first.take() {
            Some(first) => Poll::Ready(first),
            None => Pin::new(&mut self.rest).poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.first.is_none() && self.rest.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        match &self.first {
            None => self.rest.size_hint(),
            Some(_) => SizeHint::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use secrecy::ExposeSecret;

    use super::*;

    /// Frames that come one by one, with a wait before each where there is `None`.
    struct Frames(VecDeque<Option<Bytes>>);

    impl HttpBody for Frames {
        type Data = Bytes;
        type Error = Status;

        fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
            match self.0.pop_front() {
                Some(Some(data)) => Poll::Ready(Some(Ok(Frame::data(data)))),
                Some(None) => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                None => Poll::Ready(None),
            }
        }
    }

    fn framed(subject: Subject, flag: u8) -> Vec<u8> {
        let message = CheckAccessRequest { subject: Some(subject), requirement: None }.encode_to_vec();
        let mut data = vec![flag];
        data.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        data.extend(message);
        data
    }

    /// What is seen in frames, and all that comes out of the body afterwards.
    async fn look(path: &str, frames: &[Option<&[u8]>]) -> (Option<TokenHash>, Vec<u8>) {
        let frames = frames.iter().map(|frame| frame.map(Bytes::copy_from_slice)).collect();
        let (subject, mut body) = subject_of(path, Body::new(Frames(frames))).await;
        let mut all = Vec::new();
        while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
            all.extend(frame.unwrap().into_data().unwrap());
        }
        (subject, all)
    }

    #[tokio::test]
    async fn the_subject_is_seen_where_the_message_comes_at_once_and_the_message_goes_on_as_it_came() {
        let token = TokenKind::Session.mint();
        let text = || Subject::SessionToken(token.text.expose_secret().to_owned());
        let whole = framed(text(), 0);
        let (early, late) = whole.split_at(20);
        let compressed = framed(text(), 1);
        let user = framed(Subject::UserId("someone".into()), 0);
        for (path, frames, seen) in [
            (CHECK_ACCESS, vec![Some(&whole[..])], Some(token.hash)),
            (CHECK_ACCESS, vec![None, Some(&whole[..])], Some(token.hash)),
            (CHECK_ACCESS, vec![Some(early), Some(late)], None),
            (CHECK_ACCESS, vec![Some(early), None, Some(late)], None),
            (CHECK_ACCESS, vec![Some(&compressed[..])], None),
            (CHECK_ACCESS, vec![Some(&user[..])], None),
            (CHECK_ACCESS, vec![Some(b"\0\0\0\0\x05garba".as_slice())], None),
            (CHECK_ACCESS, vec![], None),
            ("/rolecall.v1.AccessService/BatchCheckAccess", vec![Some(&whole[..])], None),
        ] {
            let sent: Vec<u8> = frames.iter().flatten().flat_map(|frame| frame.iter().copied()).collect();
            assert_eq!(look(path, &frames).await, (seen, sent));
        }
    }
}
