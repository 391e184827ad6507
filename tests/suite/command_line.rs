//! The program as its operator sees it.

use crate::support::{Child, Place};

#[test]
fn a_server_that_is_told_to_stop_the_moment_it_listens_ends_with_0() {
    let place = Place::empty();
    // Without the guard nearly every round is lost.
    for _ in 0..10 {
        let server = Child::serve(&place, &[]);
        assert_eq!(server.terminate(), Some(0));
    }
}
