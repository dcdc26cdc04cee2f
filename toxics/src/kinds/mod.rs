//! Every kind of toxic: one file here and one line in the list below.
//!
//! The list is all there is to register. The API's validation and schemas, the
//! CLI's help, the docs and the conformance suite derive from it.

use crate::catalog::Kind;

macro_rules! kinds {
    ($($phase:ident $module:ident::$toxic:ident,)*) => {
        $(mod $module;)*
        $(pub use $module::$toxic;)*

        /// Every kind, sorted by name.
        pub(crate) static LIST: [Kind; [$(stringify!($module)),*].len()] =
            [$(Kind::$phase::<$toxic>()),*];
    };
}

kinds! {
    stream latency::Latency,
    stream noop::Noop,
}
