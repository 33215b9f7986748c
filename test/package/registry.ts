// A registry on the loopback that has the packages under test and what they depend on, and nothing else: what an install asks
// for besides is refused, and told.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";

const ROOT = process.cwd();

interface Packed {
  readonly manifest: { readonly name: string; readonly version: string };
  readonly tarball: Buffer;
}

export class Registry {
  readonly #packages = new Map<string, Packed>();
  /** What was asked for and is not here. */
  readonly refused: string[] = [];
  readonly #server: Server;

  private constructor(server: Server) {
    this.#server = server;
  }

  /** With these tarballs, and of this checkout's node_modules what they depend on, packed into `folder`. */
  static async start(tarballs: readonly string[], folder: string): Promise<Registry> {
    const server = createServer();
    const registry = new Registry(server);
    for (const tarball of tarballs) registry.#add(tarball, folder);
    server.on("request", ({ url = "" }, response) => {
      const [, name = "", file] = /^\/((?:@[^/]+\/)?[^/]+)(?:\/-\/(.+))?$/.exec(decodeURIComponent(url)) ?? [];
      const packed = registry.#packages.get(name);
      if (packed === undefined) {
        registry.refused.push(url);
        response.writeHead(404, { "content-type": "application/json" }).end('{"error":"not found"}');
      } else if (file !== undefined) response.end(packed.tarball);
      else response.setHeader("content-type", "application/json").end(JSON.stringify(registry.#packument(packed)));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    return registry;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #add(tarball: string, folder: string): void {
    const manifest = manifestOf(tarball);
    this.#packages.set(manifest.name, { manifest, tarball: readFileSync(tarball) });
    for (const name of Object.keys(manifest.dependencies ?? {})) {
      if (this.#packages.has(name)) continue;
      const installed = join(ROOT, "node_modules", name);
      expect(existsSync(installed)).toBe(true);
      const packed = spawnSync("npm", ["pack", "--ignore-scripts", "--json", "--pack-destination", folder], {
        ...{ cwd: installed, encoding: "utf8" },
      });
      expect(packed).toMatchObject({ status: 0 });
      this.#add(join(folder, JSON.parse(packed.stdout)[0].filename), folder);
    }
  }

  #packument({ manifest, tarball }: Packed): object {
    const { name, version } = manifest;
    const dist = {
      tarball: `${this.url}${name}/-/${name.split("/").at(-1)}-${version}.tgz`,
      integrity: `sha512-${createHash("sha512").update(tarball).digest("base64")}`,
      shasum: createHash("sha1").update(tarball).digest("hex"),
    };
    const time = "2026-01-01T00:00:00.000Z"; // some managers refuse what is of today
    return {
      ...{ name, "dist-tags": { latest: version }, versions: { [version]: { ...manifest, dist } } },
      time: { created: time, modified: time, [version]: time },
    };
  }
}

interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly [field: string]: unknown;
}

/** The package.json of a tarball. */
export function manifestOf(tarball: string): Manifest {
  const { status, stdout } = spawnSync("tar", ["-xzOf", tarball, "package/package.json"], { encoding: "utf8" });
  expect(status).toBe(0);
  return JSON.parse(stdout);
}
