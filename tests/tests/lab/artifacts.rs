//! Artifacts as people make them, right and wrong, built with the tools people have.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

pub fn write(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
    fs::write(&path, content).expect("write");
    path
}

pub fn executable(folder: &Path, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
    let path = write(folder, name, content);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("permissions");
    path
}

/// Runs a tool in `folder`; panics with what it said.
pub fn run(folder: &Path, program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).current_dir(folder).output().unwrap_or_else(|e| panic!("{program}: {e}"));
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Packs a folder's content as `../NAME`.
pub fn tar_gz(folder: &Path, name: &str) -> PathBuf {
    let file = folder.parent().expect("a parent").join(name);
    run(folder, "tar", &["-czf", file.to_str().expect("UTF-8"), "."]);
    file
}

pub fn zip(folder: &Path, name: &str) -> PathBuf {
    let file = folder.parent().expect("a parent").join(name);
    run(folder, "zip", &["-qry", file.to_str().expect("UTF-8"), "."]);
    file
}

/// An archive with one member as Python's tarfile writes it, for members no honest tool makes.
pub fn hostile_tar(folder: &Path, name: &str, member: &str) -> PathBuf {
    let script = format!(
        "import io, sys, tarfile\n\
         archive = tarfile.open(sys.argv[1], 'w:gz')\n\
         def add(name, data=b'x', **more):\n\
         \x20   info = tarfile.TarInfo(name)\n\
         \x20   info.size = len(data)\n\
         \x20   info.mode = 0o755\n\
         \x20   for key, value in more.items(): setattr(info, key, value)\n\
         \x20   archive.addfile(info, io.BytesIO(data) if info.isreg() else None)\n\
         add('control', b'#!/bin/sh\\nexec true\\n')\n\
         {member}\n\
         archive.close()\n"
    );
    let file = folder.join(name);
    run(folder, "python3", &["-c", &script, file.to_str().expect("UTF-8")]);
    file
}

const JAVA_SERVER: &str = r#"
import com.sun.net.httpserver.HttpServer;
import java.net.InetSocketAddress;
public class Main {
    public static void main(String[] arguments) throws Exception {
        int port = Integer.parseInt(System.getenv("PORT"));
        HttpServer server = HttpServer.create(new InetSocketAddress("0.0.0.0", port), 0);
        server.createContext("/", exchange -> {
            byte[] body = "hello from a jar".getBytes();
            exchange.sendResponseHeaders(200, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
        server.start();
    }
}
"#;

/// A `.jar` that runs, or one without a main class.
pub fn jar(folder: &Path, runnable: bool) -> PathBuf {
    write(folder, "Main.java", JAVA_SERVER);
    run(folder, "javac", &["Main.java"]);
    let mut arguments = vec!["--create", "--file", "app.jar"];
    if runnable {
        arguments.extend(["--main-class", "Main"]);
    }
    let classes: Vec<String> = fs::read_dir(folder)
        .expect("a folder")
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.ends_with(".class"))
        .collect();
    arguments.extend(classes.iter().map(String::as_str));
    run(folder, "jar", &arguments);
    folder.join("app.jar")
}

/// A `.war` with one page.
pub fn war(folder: &Path) -> PathBuf {
    write(folder, "war/WEB-INF/web.xml", "<web-app xmlns=\"https://jakarta.ee/xml/ns/jakartaee\" version=\"5.0\"></web-app>\n");
    write(folder, "war/index.jsp", "hello from a war, <%= 6 * 7 %>");
    run(&folder.join("war"), "jar", &["--create", "--file", "../app.war", "."]);
    folder.join("app.war")
}
