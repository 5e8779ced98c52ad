//! Cargo's build script: tells the linker where libtorch lies, so that no LD_LIBRARY_PATH is needed afterwards, and keeps
//! it out of `webemotion`: half a second in every command. Code in `webemotion` that needs a net does not link.

fn main() {
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    println!("cargo:rerun-if-changed=migrations");
    println!("cargo:rustc-check-cfg=cfg(libtorch_kept_out)");
    if std::env::var_os("CARGO_FEATURE_TRAIN").is_none() {
        return;
    }
    if let Ok(libtorch) = std::env::var("LIBTORCH") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{libtorch}/lib");
    }
    // Only LLD can, which rustc uses on this one target, and only where crates share no compiled generics: below level 2
    // they do. Elsewhere `webemotion` loads libtorch and is as good, but slower.
    let word = |name: &str| std::env::var(name).unwrap_or_default();
    let has_lld = word("TARGET") == "x86_64-unknown-linux-gnu";
    let flags = word("CARGO_ENCODED_RUSTFLAGS");
    let has_another =
        ["fuse-ld", "linker"].iter().any(|sign| flags.contains(sign)) || !word("RUSTC_LINKER").is_empty();
    if has_lld && !has_another && ["2", "3"].contains(&word("OPT_LEVEL").as_str()) {
        println!("cargo:rustc-cfg=libtorch_kept_out");
        println!("cargo:rustc-link-arg-bin=webemotion=-Wl,--remap-inputs=*libtorch_sys-*.rlib=/dev/null");
    }
}
