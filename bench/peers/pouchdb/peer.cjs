// PouchDB pushes its documents to express-pouchdb: `node peer.cjs serve FOLDER` says its port, then
// `node peer.cjs push FOLDER URL COUNT` says how long COUNT new documents took. Both keep LevelDB files in FOLDER.
"use strict";
const PouchDB = require("pouchdb");
const [what, folder, url, count] = process.argv.slice(2);
const Local = PouchDB.defaults({ prefix: `${folder}/` });
const BODY = "x".repeat(430);

function serve() {
  const express = require("express");
  const app = express();
  app.use("/", require("express-pouchdb")(Local, { mode: "minimumForPouchDB", logPath: `${folder}/log.txt` }));
  const server = app.listen(0, "127.0.0.1", () => console.log(JSON.stringify({ port: server.address().port })));
}

async function push() {
  const source = new Local("source");
  const total = Number(count);
  for (let start = 0; start < total; start += 1000) {
    const docs = [];
    for (let n = start; n < Math.min(start + 1000, total); n++) docs.push({ _id: String(n).padStart(8, "0"), body: BODY });
    await source.bulkDocs(docs);
  }
  const target = new PouchDB(`${url}/target`);
  const began = process.hrtime.bigint();
  const done = await source.replicate.to(target, { batch_size: 1000 });
  const seconds = Number(process.hrtime.bigint() - began) / 1e9;
  const held = (await target.info()).doc_count;
  console.log(JSON.stringify({ seconds, written: done.docs_written, held, errors: done.errors.length }));
  process.exit(0);
}

if (what === "serve") serve();
else push();
