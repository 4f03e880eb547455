// logic-peers.cjs FILE: nanoseconds of processor time per evaluation of the same cases in @openfeature/flagd-core and, where the rule needs no
// operator of flagd, in json-logic-engine (compiled). Prints "PEER NAME NANOSECONDS" lines. Run in the folder that has both.
const fs = require('fs');
const { FlagdCore } = require(process.cwd() + '/node_modules/@openfeature/flagd-core');
const { LogicEngine } = require(process.cwd() + '/node_modules/json-logic-engine');

const cases = JSON.parse(fs.readFileSync(process.argv[2], 'utf8'));
const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const flags = {};
for (const [name, c] of Object.entries(cases)) {
  flags[name] = { state: 'ENABLED', variants: { on: 'on', off: 'off' }, defaultVariant: 'on' };
  if (typeof c.rule === 'object') flags[name].targeting = c.rule;
}
const core = new FlagdCore(undefined, quiet);
core.setConfigurations(JSON.stringify({ flags }));

function time(run, want, name) {
  const runs = 300000;
  let last;
  for (let i = 0; i < runs; i++) last = run();
  if (last !== want) throw new Error(`${name}: ${last} instead of ${want}`);
  const began = process.cpuUsage();
  for (let i = 0; i < runs; i++) last = run();
  const took = process.cpuUsage(began);
  return ((took.user + took.system) * 1000) / runs;
}

for (const [name, c] of Object.entries(cases)) {
  const ns = time(() => core.resolveStringEvaluation(name, 'none', c.context, quiet).value, c.result, name);
  console.log(`flagd-core ${name} ${ns.toFixed(1)}`);
  if (/fractional|sem_ver/.test(JSON.stringify(c.rule))) continue;
  const built = new LogicEngine().build(c.rule);
  const rule = typeof built === 'function' ? built : () => built;
  console.log(`json-logic-engine ${name} ${time(() => rule(c.context), c.result, name).toFixed(1)}`);
}
