//! One test binary: it links once. A test's name is the sentence that it proves.

mod flows;
mod model;
mod passwords;
mod quotas;
mod reasons;
mod support;
mod throttle;
