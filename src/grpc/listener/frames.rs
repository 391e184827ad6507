//! Reads along: what a client sends that carries nothing, and what it is told of its mistakes.
//!
//! hyper counts streams that are reset, headers that do not end and errors of the client, but not PING, SETTINGS,
//! PRIORITY, WINDOW_UPDATE, empty DATA and frames that nobody knows, each of which costs more to take than to send, and
//! some of which are answered. A client pays for them with calls: it has credit for a burst, which headers and data, and
//! time, fill up again. One that has overdrawn is closed.
//!
//! What hyper counts it counts for one connection, and its client makes another. So what is said to a client about its
//! mistakes is counted here too, for [`super::conduct`].

use std::time::Instant;

/// What a connection begins with, and the most that it can have, is for the flag to say. This is what comes back a second.
const BACK_PER_SECOND: u64 = 50;
/// What a frame with headers or data is good for: a client that measures the bandwidth sends PING and WINDOW_UPDATE with
/// what it receives, and ends a stream with empty DATA.
const EARNED: u64 = 8;

/// The size of what every frame begins with (RFC 9113, section 4.1).
pub const FRAME_HEADER: usize = 9;
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;

/// Where the error code is in the payload of a RST_STREAM, and in that of a GOAWAY (RFC 9113, sections 6.4 and 6.8).
const CODE_OF_RESET: usize = FRAME_HEADER;
const CODE_OF_GOAWAY: usize = FRAME_HEADER + 4;
/// As much of a frame as has the error code in it.
const FRAME_WITH_CODE: usize = CODE_OF_GOAWAY + 4;
/// Error codes (RFC 9113, section 7) that blame nobody, or us. What comes for a stream that was refused early is sent
/// before its client can know.
const NO_ERROR: u32 = 0;
const INTERNAL_ERROR: u32 = 2;
const STREAM_CLOSED: u32 = 5;
const CANCEL: u32 = 8;

/// Tells frames apart, however they are cut, and keeps the first `KEPT` bytes of each.
#[cfg_attr(test, derive(Clone))]
struct Frames<const KEPT: usize> {
    kept: [u8; KEPT],
    /// Bytes of `kept` that are there.
    known: usize,
    /// Bytes of the frame that are passed over before the next begins.
    rest: usize,
}

impl<const KEPT: usize> Frames<KEPT> {
    /// The next is a frame.
    const fn new() -> Self {
        Self { kept: [0; KEPT], known: 0, rest: 0 }
    }

    /// The beginning of the next frame, once it is there; what is left of `bytes` is looked at by the next call. A frame
    /// that is shorter than what is kept has zeros after it.
    fn next(&mut self, bytes: &mut &[u8]) -> Option<[u8; KEPT]> {
        let skipped = self.rest.min(bytes.len());
        self.rest -= skipped;
        *bytes = &bytes[skipped..];
        while !bytes.is_empty() {
            let wanted = self.wanted();
            let taken = (wanted - self.known).min(bytes.len());
            self.kept[self.known..self.known + taken].copy_from_slice(&bytes[..taken]);
            self.known += taken;
            *bytes = &bytes[taken..];
            if self.known >= FRAME_HEADER && self.known == self.wanted() {
                let frame = self.kept;
                let rest = FRAME_HEADER + payload_of(&frame) - self.known;
                *self = Self { rest, ..Self::new() };
                return Some(frame);
            }
        }
        None
    }

    /// How much of the present frame is kept. Before its header is there, that is the header.
    fn wanted(&self) -> usize {
        if self.known < FRAME_HEADER { FRAME_HEADER } else { KEPT.min(FRAME_HEADER + payload_of(&self.kept)) }
    }
}

/// The size of a frame's payload, by its header.
fn payload_of(frame: &[u8]) -> usize {
    usize::from(frame[0]) << 16 | usize::from(frame[1]) << 8 | usize::from(frame[2])
}

fn kind_of(frame: &[u8]) -> u8 {
    frame[3]
}

/// Reads along what a client sends.
#[cfg_attr(test, derive(Clone))]
pub struct FrameMeter {
    frames: Frames<FRAME_HEADER>,
    most: u64,
    credit: u64,
    filled: Instant,
}

impl FrameMeter {
    /// A meter of a connection on which the next is a frame.
    pub fn new(most: u32, now: Instant) -> Self {
        let most = u64::from(most);
        Self { frames: Frames::new(), most, credit: most, filled: now }
    }

    /// Takes note of bytes. Answers whether the client may go on.
    #[must_use]
    pub fn allows(&mut self, mut bytes: &[u8], now: Instant) -> bool {
        let seconds = now.saturating_duration_since(self.filled).as_secs();
        if seconds > 0 {
            self.filled = now;
            self.earn(seconds.saturating_mul(BACK_PER_SECOND));
        }
        while let Some(frame) = self.frames.next(&mut bytes) {
            if !self.takes(&frame) {
                return false;
            }
        }
        true
    }

    fn takes(&mut self, frame: &[u8]) -> bool {
        if matches!(kind_of(frame), DATA | HEADERS) && payload_of(frame) > 0 {
            self.earn(EARNED);
            return true;
        }
        match self.credit.checked_sub(1) {
            Some(rest) => {
                self.credit = rest;
                true
            }
            None => false,
        }
    }

    fn earn(&mut self, credit: u64) {
        self.credit = self.credit.saturating_add(credit).min(self.most);
    }
}

/// Reads along what a client is told.
pub struct Rebukes {
    frames: Frames<FRAME_WITH_CODE>,
}

/// What a client is told that it has done.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Rebuked {
    /// Streams that were reset for its mistakes.
    pub resets: u32,
    /// Whether the connection is closed for them.
    pub goaway: bool,
}

impl Rebukes {
    /// Of a connection on which the next is a frame.
    pub const fn new() -> Self {
        Self { frames: Frames::new() }
    }

    /// Takes note of bytes, all of which are sent.
    pub fn note(&mut self, mut bytes: &[u8], rebuked: &mut Rebuked) {
        while let Some(frame) = self.frames.next(&mut bytes) {
            match kind_of(&frame) {
                RST_STREAM if blames_client(&frame, CODE_OF_RESET) => rebuked.resets += 1,
                GOAWAY if blames_client(&frame, CODE_OF_GOAWAY) => rebuked.goaway = true,
                _ => {}
            }
        }
    }
}

fn blames_client(frame: &[u8; FRAME_WITH_CODE], at: usize) -> bool {
    let code = u32::from_be_bytes([frame[at], frame[at + 1], frame[at + 2], frame[at + 3]]);
    !matches!(code, NO_ERROR | INTERNAL_ERROR | STREAM_CLOSED | CANCEL)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const PING: u8 = 6;

    fn frame(kind: u8, payload: usize) -> Vec<u8> {
        let mut bytes = vec![0, 0, u8::try_from(payload).unwrap(), kind, 0, 0, 0, 0, 1];
        bytes.resize(FRAME_HEADER + payload, 0xff);
        bytes
    }

    /// How many of a frame a meter would let through, of ten thousand.
    fn taken(meter: &FrameMeter, bytes: &[u8], now: Instant) -> usize {
        let mut meter = meter.clone();
        (0..10_000).take_while(|_| meter.allows(bytes, now)).count()
    }

    #[test]
    fn what_carries_nothing_is_taken_up_to_the_limit_and_calls_and_time_pay_for_more() {
        let start = Instant::now();
        let mut meter = FrameMeter::new(100, start);
        assert_eq!(taken(&meter, &frame(PING, 8), start), 100);
        assert!((0..100).all(|_| meter.allows(&frame(PING, 8), start)));
        assert!(meter.allows(&frame(HEADERS, 40), start));
        assert_eq!(taken(&meter, &frame(DATA, 0), start), 8);
        assert!((0..8).all(|_| meter.allows(&frame(DATA, 0), start)));
        assert_eq!(taken(&meter, &frame(PING, 8), start + Duration::from_millis(999)), 0);
        assert_eq!(taken(&meter, &frame(9, 0), start + Duration::from_secs(1)), 50);
        assert_eq!(taken(&meter, &frame(PING, 8), start + Duration::from_secs(3_600)), 100);
    }

    #[test]
    fn calls_without_end_are_taken() {
        let now = Instant::now();
        let meter = FrameMeter::new(100, now);
        let mut call = frame(HEADERS, 60);
        for more in [frame(DATA, 100), frame(DATA, 0), frame(8, 4), frame(8, 4), frame(PING, 8)] {
            call.extend(more);
        }
        assert_eq!(taken(&meter, &call, now), 10_000);
    }

    #[test]
    fn frames_are_told_apart_however_they_are_cut() {
        let now = Instant::now();
        let mut bytes = frame(HEADERS, 200);
        bytes.extend(frame(DATA, 9));
        for _ in 0..30 {
            bytes.extend(frame(PING, 8));
        }
        for size in 1..60 {
            let mut meter = FrameMeter::new(20, now);
            let mut allowed = 0;
            for piece in bytes.chunks(size) {
                if !meter.allows(piece, now) {
                    break;
                }
                allowed += piece.len();
            }
            // What is earned at the beginning is lost: more than at the beginning nobody has.
            let end = FRAME_HEADER * 2 + 209 + 20 * (FRAME_HEADER + 8) + FRAME_HEADER;
            assert!(allowed < end && allowed + size >= end, "{size}: {allowed}, {end}");
        }
    }

    #[test]
    fn what_a_client_is_told_of_its_mistakes_is_counted_however_it_is_cut() {
        const PROTOCOL_ERROR: u8 = 1;
        let reset = |code: u8| [0, 0, 4, RST_STREAM, 0, 0, 0, 0, 1, 0, 0, 0, code];
        let goaway =
            |code: u8| [0, 0, 11, GOAWAY, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, code, b'w', b'h', b'y'];
        let mut bytes = frame(HEADERS, 200);
        for code in [NO_ERROR, INTERNAL_ERROR, STREAM_CLOSED, CANCEL] {
            bytes.extend(reset(u8::try_from(code).unwrap()));
            bytes.extend(frame(DATA, 0));
        }
        bytes.extend(goaway(0));
        let blameless = bytes.len();
        for _ in 0..3 {
            bytes.extend(reset(PROTOCOL_ERROR));
            bytes.extend(frame(DATA, 90));
        }
        bytes.extend(goaway(11));
        bytes.extend(reset(PROTOCOL_ERROR));
        for size in 1..60 {
            let noted = |bytes: &[u8]| {
                let (mut rebukes, mut rebuked) = (Rebukes::new(), Rebuked::default());
                bytes.chunks(size).for_each(|piece| rebukes.note(piece, &mut rebuked));
                rebuked
            };
            assert_eq!(noted(&bytes[..blameless]), Rebuked::default(), "{size}");
            assert_eq!(noted(&bytes), Rebuked { resets: 4, goaway: true }, "{size}");
        }
    }
}
