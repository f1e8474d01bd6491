//! URLs where no store is needed; stores themselves are tested from outside, in `tests/test_store.py`.

use std::path::Path;

use corruptor::documents::{DocumentOptions, Documents};
use corruptor::store::{is_directory, write_whole};

fn message(url: &str) -> String {
    match Documents::open(&[url.into()], DocumentOptions::default()) {
        Ok(_) => panic!("{url} was opened"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn what_is_no_url_of_a_store_is_refused_with_what_to_write() {
    assert!(message("ftp://host/a.txt").contains("known are s3://"));
    assert!(message("s3:///a.txt").contains("SCHEME://BUCKET/KEY"));
}

#[test]
fn a_file_url_is_a_path() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("made/a.txt");
    write_whole(Path::new(&format!("file://{}", path.display())), b"text").unwrap();
    assert_eq!(std::fs::read(&path).unwrap(), b"text");
    assert!(is_directory(Path::new(&format!("file://{}", home.path().display()))).unwrap());
}

#[cfg(not(feature = "object-store"))]
#[test]
fn a_build_without_stores_says_how_to_get_one_with_them() {
    let error = message("s3://bucket/a.txt");
    assert!(
        error.contains("s3://bucket/a.txt") && error.contains("--features corruptor/object-store"),
        "{error}"
    );
}
