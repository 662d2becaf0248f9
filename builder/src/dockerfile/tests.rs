use std::collections::BTreeMap;

use dinp_common::build::{BuildId, BuildOrder};
use expect_test::{Expect, expect};

use super::*;
use crate::detect::Linkage;
use crate::detect::tests::order;
use crate::recipe::WarApi;

fn check(file_name: &str, plan: LayerPlan, recipe: Recipe, base: Option<&str>, expected: Expect) {
    let order = BuildOrder { id: BuildId(12), ..order(file_name) };
    let labels = crate::image::labels("k3x", &order, recipe.kind);
    expected.assert_eq(&render(file_name, &plan, &recipe, base, &labels));
}

fn tree(strip: Option<&str>) -> LayerPlan {
    LayerPlan::Tree { strip: strip.map(str::to_owned) }
}

#[test]
fn control() {
    check(
        "shop.tar.gz",
        tree(Some("shop-2.3")),
        Recipe::control(),
        Some("dinp-base/debian:k3x"),
        expect![[r##"
        # shop.tar.gz: archive with a control script. DINP assembles this image without a build; this file gives the same one.
        # app/ holds what the archive has in shop-2.3/.
        FROM dinp-base/debian:k3x
        COPY --chown=1000:1000 app/ /app/
        WORKDIR /app
        USER 1000:1000
        ENV PORT=8080
        LABEL dinp.image.app=shop
        LABEL dinp.image.build=12
        LABEL dinp.image.cluster=k3x
        LABEL dinp.image.kind=control
        ENTRYPOINT []
        CMD ["/app/control","start","8080"]
    "##]],
    );
}

#[test]
fn binary_on_nothing() {
    let plan = LayerPlan::File { name: "hello".to_owned(), executable: true };
    check(
        "hello",
        plan,
        Recipe::binary(vec!["/app/hello".to_owned()], Linkage::Static),
        None,
        expect![[r##"
        # hello: Linux binary. DINP assembles this image without a build; this file gives the same one.
        FROM scratch
        COPY --chown=1000:1000 hello /app/hello
        WORKDIR /app
        USER 1000:1000
        ENV PORT=8080
        LABEL dinp.image.app=shop
        LABEL dinp.image.build=12
        LABEL dinp.image.cluster=k3x
        LABEL dinp.image.kind=binary
        ENTRYPOINT []
        CMD ["/app/hello"]
    "##]],
    );
}

#[test]
fn war() {
    check(
        "shop.war",
        tree(None),
        Recipe::war(WarApi::Javax),
        Some("dinp-base/java:k3x"),
        expect![[r##"
        # shop.war: Java web app (.war). DINP assembles this image without a build; this file gives the same one.
        # app/ holds what the archive has.
        FROM dinp-base/java:k3x
        COPY --chown=1000:1000 app/ /app/
        WORKDIR /app
        USER 1000:1000
        ENV PORT=8080
        LABEL dinp.image.app=shop
        LABEL dinp.image.build=12
        LABEL dinp.image.cluster=k3x
        LABEL dinp.image.kind=war
        ENTRYPOINT []
        CMD ["serve-war","--javax"]
    "##]],
    );
}

#[test]
fn jar() {
    let plan = LayerPlan::File { name: "app.jar".to_owned(), executable: false };
    check(
        "shop.jar",
        plan,
        Recipe::jar(),
        Some("dinp-base/java:k3x"),
        expect![[r##"
        # shop.jar: runnable Java archive (.jar). DINP assembles this image without a build; this file gives the same one.
        FROM dinp-base/java:k3x
        COPY --chown=1000:1000 app.jar /app/app.jar
        WORKDIR /app
        USER 1000:1000
        ENV PORT=8080
        LABEL dinp.image.app=shop
        LABEL dinp.image.build=12
        LABEL dinp.image.cluster=k3x
        LABEL dinp.image.kind=jar
        ENTRYPOINT []
        CMD ["java","-XX:MaxRAMPercentage=70","-XX:+ExitOnOutOfMemoryError","-jar","/app/app.jar"]
    "##]],
    );
}

#[test]
fn python() {
    let recipe = Recipe::python_wsgi("app", Some("/app/vendor".to_owned()));
    check(
        "shop.zip",
        tree(None),
        recipe,
        Some("dinp-base/python:k3x"),
        expect![[r##"
        # shop.zip: Python app. DINP assembles this image without a build; this file gives the same one.
        # app/ holds what the archive has.
        FROM dinp-base/python:k3x
        COPY --chown=1000:1000 app/ /app/
        WORKDIR /app
        USER 1000:1000
        ENV PORT=8080
        ENV PYTHONUNBUFFERED=1
        ENV PYTHONPATH=/app/vendor
        LABEL dinp.image.app=shop
        LABEL dinp.image.build=12
        LABEL dinp.image.cluster=k3x
        LABEL dinp.image.kind=python
        ENTRYPOINT []
        CMD ["gunicorn","--threads","8","--keep-alive","75","--worker-tmp-dir","/dev/shm","wsgi:app"]
    "##]],
    );
}

#[test]
fn static_files() {
    check(
        "site.zip",
        tree(None),
        Recipe::web(true),
        Some("registry.example/web:1"),
        expect![[r##"
        # site.zip: static files. DINP assembles this image without a build; this file gives the same one.
        # app/ holds what the archive has.
        FROM registry.example/web:1
        COPY --chown=1000:1000 app/ /app/
        WORKDIR /app
        USER 1000:1000
        ENV PORT=8080
        LABEL dinp.image.app=shop
        LABEL dinp.image.build=12
        LABEL dinp.image.cluster=k3x
        LABEL dinp.image.kind=static
        ENTRYPOINT []
        CMD ["serve-static"]
    "##]],
    );
}

#[test]
fn nothing_people_choose_breaks_out_of_its_line() {
    let mut recipe = Recipe::control();
    recipe.start = vec!["/app/a \"b\"".to_owned(), "$HOME\n".to_owned()];
    recipe.env.push(("X".to_owned(), "a \"b\" $c \\ d\nRUN evil".to_owned()));
    let text = render("x\nRUN evil", &tree(Some("a\nRUN evil")), &recipe, None, &BTreeMap::new());
    assert!(!text.lines().any(|line| line.starts_with("RUN")), "{text}");
    assert!(text.contains(r#"ENV X="a \"b\" \$c \\ dRUN evil""#), "{text}");
    assert!(text.contains(r#"CMD ["/app/a \"b\"","$HOME\n"]"#), "{text}");
}
