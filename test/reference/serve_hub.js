// A hub on the loopback with the storyteller as org/storyteller, for prove_hub_cache.py: prints its address, and ends with its stdin.
import { readdirSync, readFileSync } from "node:fs";
import { HubServer } from "../../build/test/hub-server.js";

const folder = new URL("../../models/storyteller/", import.meta.url);
const server = await HubServer.start();
server.commit(
  "org/storyteller",
  readdirSync(folder).map((path) => ({ path, bytes: readFileSync(new URL(path, folder)) })),
);
console.log(server.url);
process.stdin.resume().on("end", () => process.exit());
