// Compiles the reference contracts with npm solc and writes artifacts.json; --check recompiles and compares.
//   npm i --no-save --prefix DIR solc@0.8.37 @openzeppelin/contracts@5.7.0
//   node build.mjs [--check] [--modules DIR/node_modules]        (default: node_modules above this file)
// Users never need it: the artifacts are committed.
import { createHash } from "node:crypto";
import { readFileSync, readdirSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";

const here = dirname(fileURLToPath(import.meta.url));
const flag = process.argv.indexOf("--modules");
const require_ = createRequire(flag < 0 ? import.meta.url : join(resolve(process.argv[flag + 1]), "x.js"));
const solc = require_("solc");
const target = join(here, "artifacts.json");
const sha256 = (text) => createHash("sha256").update(text).digest("hex");

const own = readdirSync(here).filter((name) => name.endsWith(".sol")).sort();
const sources = Object.fromEntries(own.map((name) => [name, { content: readFileSync(join(here, name), "utf8") }]));
const imported = {};
const find = (path) => {
  try {
    const contents = readFileSync(require_.resolve(path), "utf8");
    imported[path] = sha256(contents);
    return { contents };
  } catch (error) {
    return { error: `${path}: ${error.message}` };
  }
};

const settings = {
  evmVersion: "cancun", // set, because the compiler's default moves
  optimizer: { enabled: true, runs: 200 },
  metadata: { bytecodeHash: "none" }, // bytecode depends on the code alone, not on comments or paths
  outputSelection: { "*": { "*": ["abi", "evm.bytecode.object"] } },
};
const output = JSON.parse(
  solc.compile(JSON.stringify({ language: "Solidity", sources, settings }), { import: find }),
);
const problems = output.errors ?? [];
if (problems.length) {
  console.error(problems.map((problem) => problem.formattedMessage).join("\n"));
  process.exit(1); // a warning counts: the contracts compile without one
}

const contracts = {};
for (const name of own) {
  const title = name.replace(/\.sol$/, "");
  const built = output.contracts[name][title];
  contracts[title] = { abi: built.abi, bytecode: "0x" + built.evm.bytecode.object };
}
const text =
  JSON.stringify(
    {
      solc: solc.version(),
      evmVersion: settings.evmVersion,
      optimizerRuns: settings.optimizer.runs,
      sources: Object.fromEntries(own.map((name) => [name, sha256(sources[name].content)])),
      imported: Object.fromEntries(Object.entries(imported).sort()),
      contracts,
    },
    null,
    1,
  ) + "\n";

// The protocol folder holds each ABI by itself; the token's standard events belong to the erc20 folder.
const abis = Object.entries(contracts).map(([title, { abi }]) => [
  join(here, "..", `${title}.json`),
  JSON.stringify(
    abi.filter((entry) => !(title === "PaymentToken" && ["Transfer", "Approval"].includes(entry.name))),
    null,
    1,
  ) + "\n",
]);

if (process.argv.includes("--check")) {
  const stale = [[target, text], ...abis].filter(([path, wanted]) => readFileSync(path, "utf8") !== wanted);
  for (const [path] of stale) console.error(`${path} differs from what the sources compile to: run node build.mjs`);
  process.exit(stale.length ? 1 : 0);
}
for (const [path, wanted] of [[target, text], ...abis]) writeFileSync(path, wanted);
for (const [title, { bytecode }] of Object.entries(contracts)) console.log(title, bytecode.length / 2 - 1, "bytes");
