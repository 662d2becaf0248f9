// A cable between the browser and the dashboard that can be cut: it carries bytes, and knows nothing of them.
import { connect, createServer } from "node:net";

export async function wire(target) {
  const { hostname, port } = new URL(target);
  const ends = new Set();
  let whole = true;
  const server = createServer((near) => {
    if (!whole) return near.destroy();
    const far = connect(Number(port), hostname);
    for (const [end, other] of [[near, far], [far, near]]) {
      ends.add(end);
      end.on("error", () => other.destroy());
      end.on("close", () => (ends.delete(end), other.destroy()));
      end.pipe(other);
    }
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cut = () => {
    whole = false;
    for (const end of ends) end.destroy();
  };
  return {
    base: `http://127.0.0.1:${server.address().port}`,
    cut,
    mend: () => (whole = true),
    close: () => (cut(), server.close()),
  };
}
