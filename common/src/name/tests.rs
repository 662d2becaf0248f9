use super::*;

#[test]
fn app_names_are_dns_labels() {
    for good in ["a", "hello", "shop-2", "0x"] {
        assert_eq!(AppName::parse(good).expect(good).as_str(), good);
    }
    for (bad, why) in [
        ("", "is empty"),
        ("Hello", "use lowercase"),
        ("a_b", "contains '_'"),
        ("-a", "begins or ends"),
        ("a-", "begins or ends"),
        ("a.b", "contains '.'"),
        ("dash", "reserved"),
        ("../etc", "contains '.'"),
    ] {
        let error = AppName::parse(bad).expect_err(bad).to_string();
        assert!(error.contains(why), "{bad}: {error}");
    }
    assert!(AppName::parse(&"a".repeat(64)).is_err());
}

#[test]
fn a_name_is_suggested_from_the_file() {
    for (file, name) in [
        ("Shop-2.3.1.war", Some("shop")),
        ("/tmp/my_app.tar.gz", Some("my-app")),
        ("hello", Some("hello")),
        ("api.jar", None),
        ("....", None),
        ("invoice-service-1.0-SNAPSHOT.jar", Some("invoice-service")),
    ] {
        assert_eq!(AppName::suggest(file).as_ref().map(AppName::as_str), name, "{file}");
    }
}

#[test]
fn platform_variables_cannot_be_set() {
    assert!(EnvKey::parse("LOG_LEVEL").is_ok());
    assert!(EnvKey::parse("PORT").is_err());
    assert!(EnvKey::parse("2ABC").is_err());
}

#[test]
fn hosts_are_lowercase_labels() {
    assert!(Host::parse("hello.apps.example").is_ok());
    assert!(Host::parse("Hello.example").is_err());
    assert!(Host::parse("a..b").is_err());
}
