//! Writes the C++ header of src/lib.rs to the path in WEFT_TEXT_HEADER.

fn main() {
    println!("cargo:rerun-if-changed=src/lib.rs");
    println!("cargo:rerun-if-env-changed=WEFT_TEXT_HEADER");
    let Ok(path) = std::env::var("WEFT_TEXT_HEADER") else {
        return;
    };
    let config = cbindgen::Config {
        language: cbindgen::Language::Cxx,
        pragma_once: true,
        cpp_compat: true,
        namespaces: Some(vec!["weft".into(), "text".into(), "ffi".into()]),
        autogen_warning: Some("// Generated from text/ffi/src/lib.rs.".into()),
        ..Default::default()
    };
    // One file, not the crate: reading a crate asks cargo, and through it the network.
    cbindgen::Builder::new()
        .with_config(config)
        .with_src("src/lib.rs")
        .generate()
        .expect("a header from src/lib.rs")
        .write_to_file(path);
}
