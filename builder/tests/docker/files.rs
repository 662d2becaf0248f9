//! Artifacts as people make them, with the tools they use.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Command;

use tempfile::{NamedTempFile, TempDir};

/// A server of twenty lines that says who it is.
const SERVER: &str = r#"
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
int main(int argc, char **argv) {
    const char *port = argc > 1 ? argv[1] : getenv("PORT");
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_port = htons(atoi(port)) };
    char buffer[4096], cwd[256];
    int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (void *)&at, sizeof at) || listen(listener, 64)) return 1;
    for (;;) {
        int peer = accept(listener, 0, 0);
        if (read(peer, buffer, sizeof buffer) < 0) continue;
        dprintf(peer, "HTTP/1.0 200 OK\r\n\r\nuid %d in %s", getuid(), getcwd(cwd, sizeof cwd));
        close(peer);
    }
}
"#;

pub fn file_of(content: &[u8]) -> NamedTempFile {
    let mut file = NamedTempFile::new().expect("temporary file");
    file.write_all(content).expect("written");
    file
}

pub fn tool(folder: &Path, program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).current_dir(folder).output().expect(program);
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The server, as one executable.
pub fn binary(linked: &str) -> Vec<u8> {
    let folder = TempDir::new().expect("folder");
    fs::write(folder.path().join("server.c"), SERVER).expect("source");
    tool(folder.path(), "cc", &["-O1", linked, "-o", "server", "server.c"]);
    fs::read(folder.path().join("server")).expect("server")
}

/// A folder of these files; a name that begins with `+` is executable.
pub fn folder(files: &[(&str, &[u8])]) -> TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = TempDir::new().expect("folder");
    for (name, content) in files {
        let path = folder.path().join(name.trim_start_matches('+'));
        fs::create_dir_all(path.parent().expect("parent")).expect("folders");
        fs::write(&path, content).expect("file");
        let mode = if name.starts_with('+') { 0o755 } else { 0o644 };
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("mode");
    }
    folder
}

pub fn tar_gz(files: &[(&str, &[u8])]) -> Vec<u8> {
    let content = folder(files);
    let out = TempDir::new().expect("folder");
    let path = out.path().join("out.tar.gz");
    tool(content.path(), "tar", &["-czf", path.to_str().expect("path"), "."]);
    fs::read(path).expect("archive")
}

pub fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let content = folder(files);
    let out = TempDir::new().expect("folder");
    let path = out.path().join("out.zip");
    tool(content.path(), "zip", &["-qr", path.to_str().expect("path"), "."]);
    fs::read(path).expect("archive")
}

/// A runnable .jar that answers on $PORT.
pub fn jar() -> Vec<u8> {
    let source = r#"
        import com.sun.net.httpserver.HttpServer;
        import java.net.InetSocketAddress;
        public class Hello {
            public static void main(String[] args) throws Exception {
                var server = HttpServer.create(new InetSocketAddress(Integer.parseInt(System.getenv("PORT"))), 0);
                server.createContext("/", exchange -> {
                    byte[] body = ("heap " + Runtime.getRuntime().maxMemory() / 1048576).getBytes();
                    exchange.sendResponseHeaders(200, body.length);
                    exchange.getResponseBody().write(body);
                    exchange.close();
                });
                server.start();
            }
        }"#;
    let folder = folder(&[("Hello.java", source.as_bytes())]);
    tool(folder.path(), "javac", &["--release", "17", "Hello.java"]);
    tool(folder.path(), "sh", &["-c", "jar --create --file hello.jar --main-class Hello *.class"]);
    fs::read(folder.path().join("hello.jar")).expect("jar")
}

/// A .war with a page, a JSP and a servlet of `javax` or `jakarta`. The servlet is compiled against the few
/// signatures it uses, since no servlet API lies on a machine that only builds.
pub fn war(api: &str) -> Vec<u8> {
    let stub = |name: &str, body: &str| {
        let text = format!("package {api}.servlet.http; public {body}");
        (format!("stubs/{api}/servlet/http/{name}.java"), text)
    };
    let servlet = format!(
        "import {api}.servlet.http.*; public class Hi extends HttpServlet {{ \
         protected void doGet(HttpServletRequest q, HttpServletResponse a) throws java.io.IOException {{ \
         a.getWriter().print(\"hi from {api}\"); }} }}"
    );
    let namespace = if api == "javax" { "http://xmlns.jcp.org/xml/ns/javaee" } else { "https://jakarta.ee/xml/ns/jakartaee" };
    let version = if api == "javax" { "4.0" } else { "5.0" };
    let xml = format!(
        "<web-app xmlns=\"{namespace}\" version=\"{version}\"><servlet><servlet-name>hi</servlet-name><servlet-class>Hi</servlet-class>\
         </servlet><servlet-mapping><servlet-name>hi</servlet-name><url-pattern>/hi</url-pattern></servlet-mapping></web-app>"
    );
    let stubs = [
        stub(
            "HttpServlet",
            "abstract class HttpServlet { protected void doGet(HttpServletRequest q, HttpServletResponse a) throws java.io.IOException {} }",
        ),
        stub("HttpServletRequest", "interface HttpServletRequest {}"),
        stub(
            "HttpServletResponse",
            "interface HttpServletResponse { java.io.PrintWriter getWriter() throws java.io.IOException; }",
        ),
    ];
    let mut files: Vec<(&str, &[u8])> = stubs.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    files.push(("Hi.java", servlet.as_bytes()));
    files.push(("war/index.html", b"<h1>a page of a war</h1>"));
    files.push(("war/sum.jsp", b"<%@ page contentType=\"text/plain\" %>sum <%= 40 + 2 %>"));
    files.push(("war/WEB-INF/web.xml", xml.as_bytes()));
    let folder = folder(&files);
    tool(folder.path(), "sh", &["-c", "javac --release 17 -d stubs/out $(find stubs -name '*.java')"]);
    tool(folder.path(), "javac", &["--release", "17", "-cp", "stubs/out", "-d", "war/WEB-INF/classes", "Hi.java"]);
    tool(folder.path(), "jar", &["--create", "--file", "app.war", "-C", "war", "."]);
    fs::read(folder.path().join("app.war")).expect("war")
}
