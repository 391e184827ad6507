//! Counts the frames of a connection that carry nothing.
//!
//! hyper counts streams that are reset, headers that do not end and errors of the client, but not PING, SETTINGS,
//! PRIORITY, WINDOW_UPDATE, empty DATA and frames that nobody knows, each of which costs more to take than to send, and
//! some of which are answered. A client pays for them with calls: it has credit for a burst, which headers and data, and
//! time, fill up again. One that has overdrawn is closed.

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

/// Reads along what a client sends.
#[cfg_attr(test, derive(Clone))]
pub struct FrameMeter {
    header: [u8; FRAME_HEADER],
    /// Bytes of `header` that are there.
    known: usize,
    /// Bytes of the frame's payload that are still to come.
    payload: usize,
    most: u64,
    credit: u64,
    filled: Instant,
}

impl FrameMeter {
    /// A meter of a connection on which the next is a frame.
    pub fn new(most: u32, now: Instant) -> Self {
        let most = u64::from(most);
        Self { header: [0; FRAME_HEADER], known: 0, payload: 0, most, credit: most, filled: now }
    }

    /// Takes note of bytes. Answers whether the client may go on.
    #[must_use]
    pub fn allows(&mut self, mut bytes: &[u8], now: Instant) -> bool {
        let seconds = now.saturating_duration_since(self.filled).as_secs();
        if seconds > 0 {
            self.filled = now;
            self.earn(seconds.saturating_mul(BACK_PER_SECOND));
        }
        while !bytes.is_empty() {
            let skipped = self.payload.min(bytes.len());
            self.payload -= skipped;
            bytes = &bytes[skipped..];
            let wanted = (FRAME_HEADER - self.known).min(bytes.len());
            self.header[self.known..self.known + wanted].copy_from_slice(&bytes[..wanted]);
            self.known += wanted;
            bytes = &bytes[wanted..];
            if self.known == FRAME_HEADER && !self.frame() {
                return false;
            }
        }
        true
    }

    /// Counts the frame whose header is there.
    fn frame(&mut self) -> bool {
        let [high, middle, low, kind, ..] = self.header;
        self.known = 0;
        self.payload = usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low);
        if matches!(kind, DATA | HEADERS) && self.payload > 0 {
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
}
