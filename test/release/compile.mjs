/**
 * Run by npm where the package is installed: compiles the addon when no prebuilt one loads on this machine. Where npm runs no
 * scripts and a prebuilt one loads, nothing is lost: vtepd looks for both.
 */
import { spawnSync } from "node:child_process";
import { existsSync, realpathSync } from "node:fs";
import { dirname, join } from "node:path";

const HERE = import.meta.dirname;
const COMPILED = join(HERE, "build/Release/vtepd.node");
const PREBUILT = join(HERE, `prebuilt/linux-${process.arch}-glibc/vtepd.node`);

/** In a child: a library that does not fit may end its process. */
function loads(file) {
  const load = "process.dlopen({ exports: {} }, process.argv[1])";
  return existsSync(file) && spawnSync(process.execPath, ["-e", load, file], { stdio: "ignore" }).status === 0;
}

/** Where Node's headers are beside Node nothing has to be downloaded. */
function headers() {
  const prefix = dirname(dirname(realpathSync(process.execPath)));
  const isThere = existsSync(join(prefix, "include/node/node_api.h"));
  return process.env.npm_config_nodedir || !isThere ? {} : { npm_config_nodedir: prefix };
}

if (!loads(COMPILED) && !loads(PREBUILT)) {
  const gyp = process.env.npm_config_node_gyp;
  const [program, first] = gyp ? [process.execPath, [gyp]] : ["node-gyp", []];
  const { status } = spawnSync(program, [...first, "rebuild"], {
    cwd: HERE,
    stdio: "inherit",
    env: { ...process.env, ...headers() },
  });
  if (status !== 0) {
    process.stderr.write("vtepd: no prebuilt addon fits this machine, and it could not be compiled;\n");
    process.stderr.write("vtepd: that takes g++, make and python3 (Alpine: apk add g++ make python3 linux-headers),\n");
    process.stderr.write("vtepd: and Node's headers, from nodejs.org or npm_config_nodedir\n");
    process.exit(1);
  }
}
