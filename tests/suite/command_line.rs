//! The program as its operator sees it.

use crate::support::Child;

#[test]
fn a_server_that_is_told_to_stop_the_moment_it_listens_ends_with_0() {
    let folder = tempfile::tempdir().unwrap();
    // Without the guard nearly every round is lost.
    for _ in 0..10 {
        let server = Child::serve(&folder.path().join("rolecall.db"), &[]);
        assert_eq!(server.terminate(), Some(0));
    }
}
