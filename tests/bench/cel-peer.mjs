// cel-peer.mjs - `./dev bench cel`: the policy by @marcbachmann/cel-js, parsed once; integers as BigInt, as that library has them.
import { readFileSync } from "node:fs";
import { parse } from "@marcbachmann/cel-js";

const [, , policy, input, rounds] = process.argv;
const vars = JSON.parse(readFileSync(input, "utf8"));
vars.approvals = BigInt(vars.approvals);
const evaluate = parse(readFileSync(policy, "utf8"));
for (let i = 0; i < 5000; i++) if (evaluate(vars) !== true) throw new Error("the policy did not hold");
const batch = 2000; // as cel-bench.c
let best = Infinity;
for (let done = 0; done < Number(rounds); done += batch) {
  const began = process.hrtime.bigint();
  for (let i = 0; i < batch; i++) evaluate(vars);
  best = Math.min(best, Number(process.hrtime.bigint() - began));
}
console.log(`unchecked ${(best / batch).toFixed(1)}`);
