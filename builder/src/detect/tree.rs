//! What an archive is, by the names in it.

use dinp_common::build::BuildOrder;
use dinp_common::kind::Kind;

use super::{Examined, elf, first_names, python};
use crate::archive::{Artifact, LayerPlan, Listing, Node, Packing, contains};
use crate::recipe::{Recipe, WarApi};
use crate::refusal::Refusal;

const LOOKED_FOR: &str = "control, wsgi.py, main.py, WEB-INF, Main-Class, index.html";
/// Names of other platforms' ways to say how an app starts, with what to do here.
const NEAR_MISSES: [(&str, &str); 4] = [
    (
        "package.json",
        "add an executable file `control` that starts the app: `#!/bin/sh` and `exec node server.js`, with node in the archive",
    ),
    ("app.py", "name the file main.py (started as it is) or wsgi.py (served by gunicorn)"),
    ("Procfile", "write what it starts into an executable file `control`"),
    ("Dockerfile", "build the image yourself and deploy it with --image"),
];

pub(super) fn decide(order: &BuildOrder, artifact: Artifact, listing: &Listing) -> anyhow::Result<Examined> {
    if listing.nodes.is_empty() {
        return Err(Refusal::new("the archive is empty", "put the app's files into it").into());
    }
    let mut notes = Vec::new();
    let strip = top_folder(listing);
    if let Some(folder) = &strip {
        notes.push(format!("the folder {folder}/ holds everything; its content is the app"));
    }
    let tree = Tree { order, listing, strip: strip.as_deref(), packing: artifact.packing };
    let kind = match order.kind {
        Some(kind) => kind,
        None => tree.kind()?,
    };
    let mut recipe = tree.recipe(kind)?;
    let how = if order.kind.is_some() { "as you said" } else { "found by its content" };
    notes.push(format!("{}: {} ({how})", order.file_name, kind.describe()));
    notes.append(&mut recipe.notes);
    let plan = match kind {
        Kind::Jar => LayerPlan::File { name: "app.jar".to_owned(), executable: false },
        Kind::Control | Kind::Binary | Kind::War | Kind::Python | Kind::Static | Kind::Image => LayerPlan::Tree { strip },
    };
    // A .jar stays as it is, and real ones do have names twice.
    if matches!(plan, LayerPlan::Tree { .. }) && artifact.has_duplicate_names()? {
        return Err(Refusal::new("the archive has a name twice", "make the archive again with each file once").into());
    }
    if let Some(start) = &order.start {
        recipe.start.clone_from(start);
    }
    Ok(Examined { artifact, plan, recipe, notes })
}

/// The one folder everything is in, unless that folder itself has a meaning.
fn top_folder(listing: &Listing) -> Option<String> {
    let first = listing.nodes.keys().next()?.split('/').next()?;
    let within = |path: &String| path.strip_prefix(first).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    let is_folder = matches!(listing.nodes.get(first), None | Some(Node::Folder));
    let means = matches!(first, "WEB-INF" | "META-INF" | "wheels" | "vendor");
    (is_folder && !means && listing.nodes.len() > 1 && listing.nodes.keys().all(within)).then(|| first.to_owned())
}

struct Tree<'t> {
    order: &'t BuildOrder,
    listing: &'t Listing,
    strip: Option<&'t str>,
    packing: Packing,
}

impl Tree<'_> {
    fn has(&self, path: &str) -> bool {
        self.listing.at(self.strip, path).is_some()
    }

    fn has_web_inf(&self) -> bool {
        let top = self.strip.map(|folder| format!("{folder}/")).unwrap_or_default();
        let start = format!("{top}WEB-INF");
        self.listing
            .nodes
            .range(start.clone()..)
            .next()
            .is_some_and(|(path, _)| *path == start || path.starts_with(&format!("{start}/")))
    }

    fn main_class(&self) -> bool {
        self.listing.kept_at(self.strip, "META-INF/MANIFEST.MF").is_some_and(|text| contains(text, b"Main-Class:"))
    }

    fn kind(&self) -> Result<Kind, Refusal> {
        let found = [
            (self.has("control"), Kind::Control),
            (self.has_web_inf(), Kind::War),
            (self.main_class(), Kind::Jar),
            (self.has("wsgi.py") || self.has("main.py"), Kind::Python),
            (self.has("index.html"), Kind::Static),
            (self.order.start.is_some(), Kind::Control),
        ];
        found.into_iter().find_map(|(is, kind)| is.then_some(kind)).ok_or_else(|| self.no_start())
    }

    fn no_start(&self) -> Refusal {
        let why = format!("no start command found (looked for: {LOOKED_FOR}; found: {})", first_names(self.listing, self.strip));
        let near = NEAR_MISSES.iter().find(|(name, _)| self.has(name)).map(|(_, fix)| *fix);
        Refusal::new(
            why,
            near.unwrap_or("add an executable file `control` which starts the app, or give the start command in dinp.toml"),
        )
    }

    fn missing(&self, kind: Kind, what: &str) -> Refusal {
        let why = format!("this is no {}: it has no {what} (found: {})", kind.describe(), first_names(self.listing, self.strip));
        Refusal::new(why, "leave --kind out to have the kind found, or add what is missing")
    }

    fn recipe(&self, kind: Kind) -> Result<Recipe, Refusal> {
        match kind {
            Kind::Control => self.control(),
            Kind::War => self.war(),
            Kind::Jar => self.jar(),
            Kind::Python => self.python(),
            Kind::Static => Ok(Recipe::web(self.has("index.html"))),
            Kind::Binary => {
                Err(Refusal::new("this is an archive, not one Linux executable", "leave --kind out, or upload the executable"))
            }
            Kind::Image => Err(Refusal::new("this is an archive, not an image", "deploy an image with --image REFERENCE")),
        }
    }

    fn control(&self) -> Result<Recipe, Refusal> {
        if self.order.start.is_some() {
            return Ok(Recipe::control());
        }
        match self.listing.at(self.strip, "control") {
            Some(Node::File { executable: true, .. }) => {}
            Some(Node::Symlink { .. } | Node::Hardlink { .. }) => return Ok(Recipe::control()),
            Some(Node::File { .. }) => {
                return Err(Refusal::new("the file control is not executable", "chmod +x control, and make the archive again"));
            }
            Some(Node::Folder) | None => return Err(self.missing(Kind::Control, "executable file control")),
        }
        let head = self.listing.kept_at(self.strip, "control").unwrap_or_default();
        if head.starts_with(b"\x7fELF") {
            elf::inspect("control", head, None)?;
        } else if let Some(line) = head.split(|byte| *byte == b'\n').next().filter(|line| line.ends_with(b"\r")) {
            let line = String::from_utf8_lossy(line).trim_end().to_owned();
            let why = format!("control has Windows line ends: the kernel would look for the program \"{line}\\r\"");
            return Err(Refusal::new(why, "save control with Unix line ends (`sed -i 's/\\r$//' control`)"));
        } else if !head.starts_with(b"#!") {
            return Err(Refusal::new(
                "control is neither a program nor a script: it does not begin with #!",
                "begin control with the line #!/bin/sh",
            ));
        }
        Ok(Recipe::control())
    }

    fn war(&self) -> Result<Recipe, Refusal> {
        if !self.has_web_inf() {
            return Err(self.missing(Kind::War, "folder WEB-INF"));
        }
        let uses = self.listing.classes_use;
        let descriptor = self.listing.kept_at(self.strip, "WEB-INF/web.xml").unwrap_or_default();
        let old_descriptor =
            contains(descriptor, b"java.sun.com/xml/ns/j") || contains(descriptor, b"xmlns.jcp.org/xml/ns/javaee");
        let api = if uses.javax || (old_descriptor && !uses.jakarta) { WarApi::Javax } else { WarApi::Jakarta };
        Ok(Recipe::war(api))
    }

    fn jar(&self) -> Result<Recipe, Refusal> {
        if self.packing != Packing::Zip || self.strip.is_some() {
            return Err(Refusal::new("this is an unpacked or wrapped .jar", "upload the .jar file itself"));
        }
        if !self.main_class() && self.order.start.is_none() {
            return Err(Refusal::new(
                "the .jar cannot be run: its META-INF/MANIFEST.MF has no Main-Class",
                "build a runnable .jar (for Maven: the shade or Spring Boot plugin)",
            ));
        }
        Ok(Recipe::jar())
    }

    fn python(&self) -> Result<Recipe, Refusal> {
        let libraries = python::library_path(self.listing, self.strip)?;
        if let Some(source) = self.listing.kept_at(self.strip, "wsgi.py") {
            return Ok(Recipe::python_wsgi(python::callable(source)?, libraries));
        }
        if self.has("main.py") || self.order.start.is_some() {
            return Ok(Recipe::python_main(libraries));
        }
        Err(self.missing(Kind::Python, "wsgi.py or main.py"))
    }
}
