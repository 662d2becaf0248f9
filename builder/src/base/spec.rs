//! What each base is made of.

use bollard::models::ImageInspect;
use dinp_common::kind::Base;
use sha2::{Digest as _, Sha256};

/// The label that says which version of a base this is.
pub(super) const RECIPE_LABEL: &str = "dinp.image.recipe";
/// Where programs are looked for.
pub(super) const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A file of ours within a base: path, executable, content.
type Overlay = (&'static str, bool, &'static [u8]);

const JAVA: &[Overlay] = &[
    ("usr/local/bin/serve-war", true, include_bytes!("../../../deploy/bases/java/serve-war")),
    ("opt/tomcat/conf/server.xml", false, include_bytes!("../../../deploy/bases/java/server.xml")),
    ("opt/tomcat/conf/web.xml", false, include_bytes!("../../../deploy/bases/java/web.xml")),
    ("opt/tomcat/conf/logging.properties", false, include_bytes!("../../../deploy/bases/java/logging.properties")),
];
const WEB: &[Overlay] = &[
    ("usr/local/bin/serve-static", true, include_bytes!("../../../deploy/bases/web/serve-static")),
    ("etc/lighttpd/lighttpd.conf", false, include_bytes!("../../../deploy/bases/web/lighttpd.conf")),
];

/// What dpkg leaves out: documentation, translations and build inputs nobody reads in a container.
const LEFT_OUT: [&str; 5] =
    ["/usr/share/doc/*", "/usr/share/locale/*", "/usr/share/info/*", "/usr/share/maven-repo/*", "/usr/lib/jvm/*/lib/ct.sym"];

/// Run by mmdebstrap with the new root as `$1`, in this order. Constants: no name anybody chose comes into them.
const HOOKS: [&str; 5] = [
    // Our files. $DINP_OVERLAY is a tar.
    r#"tar -C "$1" -xf "$DINP_OVERLAY""#,
    r#"echo 'app:x:1000:1000::/app:/bin/sh' >> "$1/etc/passwd"; echo 'app:x:1000:' >> "$1/etc/group""#,
    // An app has no business changing its user.
    r#"find "$1" -xdev -type f -perm /6000 -exec chmod a-s {} +"#,
    // Perl's library comes with a package that only merges /usr, and is a third of the image. Manual pages go last:
    // some packages' scripts want their folders.
    r#"rm -rf "$1"/usr/share/perl "$1"/usr/share/perl5 "$1"/usr/lib/*/perl/5.* "$1"/usr/lib/*/libperl.so* "$1"/usr/share/man/*"#,
    // Where this machine's packages come from is nobody else's business; the addresses may hold passwords.
    r#"rm -rf "$1"/etc/apt/sources.list "$1"/etc/apt/sources.list.d/* "$1"/etc/apt/apt.conf.d/99mmdebstrap"#,
];

pub(super) fn packages(base: Base) -> &'static [&'static str] {
    match base {
        Base::Debian => &["ca-certificates", "usr-is-merged"],
        Base::Java => {
            &["ca-certificates", "usr-is-merged", "openjdk-17-jre-headless", "tomcat10-common", "tomcat-jakartaee-migration"]
        }
        Base::Python => &["ca-certificates", "usr-is-merged", "python3", "gunicorn"],
        Base::Web => &["usr-is-merged", "lighttpd", "media-types", "sysvinit-utils"],
    }
}

/// Programs a base, ours or another, must have on its `PATH`.
pub(super) fn programs(base: Base) -> &'static [&'static str] {
    match base {
        Base::Debian => &["sh"],
        Base::Java => &["sh", "java", "serve-war"],
        Base::Python => &["sh", "python3", "gunicorn"],
        Base::Web => &["sh", "serve-static"],
    }
}

fn overlays(base: Base) -> &'static [Overlay] {
    match base {
        Base::Java => JAVA,
        Base::Web => WEB,
        Base::Debian | Base::Python => &[],
    }
}

/// Our files as a tar.
pub(super) fn overlay_tar(base: Base) -> std::io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, executable, content) in overlays(base) {
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(if *executable { 0o755 } else { 0o644 });
        tar.append_data(&mut header, path, *content)?;
    }
    tar.into_inner()
}

/// mmdebstrap's arguments, up to the suite and the package sources.
pub(super) fn arguments(base: Base) -> Vec<String> {
    let mut all =
        vec!["--variant=essential".to_owned(), "--skip=output/dev".to_owned(), format!("--include={}", packages(base).join(","))];
    all.push("--aptopt=Acquire::Languages \"none\"".to_owned());
    // The root file system is thrown away if anything goes wrong: no need to wait for the disk.
    all.push("--dpkgopt=force-unsafe-io".to_owned());
    all.extend(LEFT_OUT.iter().map(|path| format!("--dpkgopt=path-exclude={path}")));
    all.extend(HOOKS.iter().map(|hook| format!("--customize-hook={hook}")));
    all
}

/// Changes with everything we decide about a base, and with nothing else.
pub(super) fn recipe_id(base: Base) -> String {
    let mut hash = Sha256::new();
    for argument in arguments(base) {
        hash.update(argument.as_bytes());
        hash.update([0]);
    }
    for (path, _, content) in overlays(base) {
        hash.update(path.as_bytes());
        hash.update(content);
    }
    hex::encode(hash.finalize())[..12].to_owned()
}

pub(super) fn is_current(inspect: &ImageInspect, base: Base) -> bool {
    let labels = inspect.config.as_ref().and_then(|config| config.labels.as_ref());
    labels.and_then(|labels| labels.get(RECIPE_LABEL)).is_some_and(|recipe| *recipe == recipe_id(base))
}

/// Instructions Docker lays over an imported root file system.
pub(super) fn changes(cluster: &str, base: Base) -> Vec<String> {
    vec![
        format!("ENV PATH={PATH}"),
        "WORKDIR /app".to_owned(),
        "USER 1000:1000".to_owned(),
        "CMD [\"sh\"]".to_owned(),
        format!("LABEL dinp.image.cluster={cluster}"),
        format!("LABEL dinp.image.base={base}"),
        format!("LABEL {RECIPE_LABEL}={}", recipe_id(base)),
    ]
}
