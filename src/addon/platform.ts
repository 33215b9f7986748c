// On which machines quipu runs, and what is said on others.

/** The prebuilt addons that are published, each as @quipu-llm/<platform> (scripts/package.js). */
const PREBUILT: readonly string[] = ["linux-x64", "linux-arm64"];

/** The glibc that they are linked for. */
export const OLDEST_GLIBC = "2.28";

const SUPPORTED = `Linux on x64 or arm64 with glibc ${OLDEST_GLIBC} or newer`;

const NAMES: Readonly<Record<string, string>> = { win32: "Windows", darwin: "macOS", freebsd: "FreeBSD" };

/** The package that has the addon for this machine. */
export function platformPackage(): string {
  return `@quipu-llm/${process.platform}-${process.arch}`;
}

/** The glibc that this process runs with: "2.36". Undefined where there is none, as with musl. */
export function runtimeGlibc(): string | undefined {
  const { report } = process as { report?: { excludeNetwork?: boolean; getReport(): object } };
  if (report === undefined) return undefined;
  const { excludeNetwork } = report;
  report.excludeNetwork = true; // else the names of all peers are looked up
  const { header } = report.getReport() as { header?: { glibcVersionRuntime?: string } };
  if (excludeNetwork !== undefined) report.excludeNetwork = excludeNetwork;
  return header?.glibcVersionRuntime;
}

/** One sentence on what runs quipu and what this machine is in its place, and one on what to do. Undefined where it is supported. */
export function unsupportedPlatform(): string | undefined {
  const { platform, arch } = process;
  const refuse = (what: string, next: string) => `quipu runs on ${SUPPORTED}; this is ${what}. ${next}`;
  if (platform !== "linux") {
    const next = platform === "win32" ? "Run it in WSL 2." : "Run it in a container or a virtual machine with Linux.";
    return refuse(`${NAMES[platform] ?? platform} on ${arch}`, next);
  }
  const glibc = runtimeGlibc();
  if (glibc === undefined)
    return refuse(`Linux on ${arch} with musl in place of glibc`, "Use an image with glibc, as node:22-slim.");
  if (isOlder(glibc, OLDEST_GLIBC)) return refuse(`Linux on ${arch} with glibc ${glibc}`, "Use a newer system.");
  if (!PREBUILT.includes(`${platform}-${arch}`)) return refuse(`Linux on ${arch}`, "Use another machine.");
  return undefined;
}

function isOlder(version: string, than: string): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const [otherMajor = 0, otherMinor = 0] = than.split(".").map(Number);
  return major < otherMajor || (major === otherMajor && minor < otherMinor);
}
