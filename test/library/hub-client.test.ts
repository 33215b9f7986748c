// HubClient: ranges of files that are not downloaded, and hubs that live below a path.
import { HubClient } from "#quipu/checkpoint/hub/client.js";
import { connectionFailure } from "#quipu/checkpoint/hub/http.js";
import { hubSettings } from "#quipu/checkpoint/hub/settings.js";
import { temporaryFolder } from "../checkpoint-writer.js";
import { CountingClock, HubServer, noise, useHub } from "../hub.js";
import type { Fault } from "../hub-server.js";

const root = temporaryFolder();
const REPO = "org/tiny";
const WEIGHTS = { path: "sub/a b#1.safetensors", bytes: noise(5000) };

let server: HubServer;
let commit: string;
let client: HubClient;
beforeEach(async () => {
  server = await HubServer.start();
  useHub(server, root);
  commit = server.commit(REPO, [WEIGHTS]);
  client = new HubClient(hubSettings(), { clock: new CountingClock() });
});
afterEach(() => Promise.all([client.close(), server.close()]));

const read = (first: number, last: number, signal?: AbortSignal) =>
  client.readRange(REPO, commit, WEIGHTS.path, first, last, signal);

describe("readRange", () => {
  test.each([
    ["the first byte", 0, 0],
    ["some in the middle", 1234, 2345],
    ["the last ones", 4000, 4999],
    ["all", 0, 4999],
  ])("reads %s", async (_, first, last) => {
    expect(await read(first, last)).toEqual(WEIGHTS.bytes.subarray(first, last + 1));
    expect(server.asked.map(({ headers }) => headers.range)).toEqual([`bytes=${first}-${last}`]);
  });

  test.each<[string, Fault]>([
    ["drops the connection", { drop: 300 }],
    ["ends early", { truncate: 300 }],
    ["is busy", { status: 503 }],
  ])("goes on where a server %s", async (_, fault) => {
    let count = 0;
    server.options = { fault: () => (count++ === 0 ? fault : undefined) };
    expect(await read(1000, 3999)).toEqual(WEIGHTS.bytes.subarray(1000, 4000));
    const second = Number(/\d+/.exec(server.asked[1]!.headers.range!)![0]);
    expect(second).toBe("status" in fault! ? 1000 : 1300);
  });

  test("reads from a server that knows no ranges", async () => {
    server.options = { fault: () => ({ ignoreRange: true }) };
    expect(await read(1000, 1999)).toEqual(WEIGHTS.bytes.subarray(1000, 2000));
  });

  test("beyond the end is an error, and never fewer bytes", async () => {
    await expect(read(4000, 5999)).rejects.toMatchObject({ code: "ERR_PULL" });
    await expect(read(6000, 6999)).rejects.toMatchObject({ code: "ERR_PULL", message: expect.stringContaining("416") });
  });

  test("of another range than was asked for is refused", async () => {
    server.options = {
      fault: () => ({ status: 206, headers: { "content-range": "bytes 0-9/5000" }, body: "0123456789" }),
    };
    await expect(read(10, 19)).rejects.toMatchObject({
      message: expect.stringMatching(/expected bytes from 10 on, got "bytes 0-9/),
    });
  });

  test("ends with a signal", async () => {
    const controller = new AbortController();
    server.options = { fault: () => ({ hold: 10, held: () => controller.abort() }) };
    await expect(read(0, 999, controller.signal)).rejects.toMatchObject({ code: "ERR_ABORTED" });
  });
});

test.each([
  ["ECONNREFUSED", "the connection was refused"],
  ["ECONNRESET", "the connection was dropped"],
  ["ENOTFOUND", "its address is not found: the name is wrong, or there is no network"],
  ["EAI_AGAIN", "its address cannot be looked up: no name server answers, as without a network"],
  ["ENETUNREACH", "its network cannot be reached"],
  ["EHOSTUNREACH", "the host cannot be reached"],
  ["ETIMEDOUT", "the connection takes too long"],
  ["EUNHEARDOF", "the connection failed (connect EUNHEARDOF 192.0.2.1:443)"],
])("a connection that fails is told in words: %s", (code, words) => {
  const failure = Object.assign(new Error(`connect ${code} 192.0.2.1:443`), { code });
  // A host of several addresses has an error of each.
  for (const error of [
    failure,
    new AggregateError([failure, failure]),
    new Error("fetch failed", { cause: failure }),
  ]) {
    expect(connectionFailure(new URL("https://hub.example/x"), error, undefined).message).toBe(`hub.example: ${words}`);
  }
});

test("a hub may live below a path", async () => {
  const asked: string[] = [];
  process.env.HF_ENDPOINT = `${server.url}/mirrors/hub/`;
  const below = new HubClient(hubSettings(), { clock: new CountingClock() });
  server.on("asked", ({ path }) => asked.push(path));
  await below.resolve(REPO, "refs/pr/1").catch(() => {});
  await below.readRange(REPO, commit, WEIGHTS.path, 0, 0).catch(() => {});
  await below.close();
  expect(asked[0]).toBe("/mirrors/hub/api/models/org/tiny/revision/refs/pr/1");
  expect(asked[1]).toBe(`/mirrors/hub/org/tiny/resolve/${commit}/sub/a b#1.safetensors`);
});

test("what a hub says of files is checked", async () => {
  for (const list of ["{}", "[1]", '[{"type":"symlink","path":"a"}]', '[{"type":"file"}]']) {
    server.options = { fault: () => ({ status: 200, body: list }) };
    await expect(client.list(REPO, commit)).rejects.toMatchObject({
      code: "ERR_PULL",
      message: expect.stringContaining("does not answer as a hub does"),
    });
  }
});
