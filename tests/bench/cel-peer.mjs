// cel-peer.mjs - `./dev bench cel`: the policy by @marcbachmann/cel-js, parsed once; integers as BigInt, as that library has them.
import { readFileSync } from "node:fs";
import { parse } from "@marcbachmann/cel-js";

const [, , policy, input, rounds] = process.argv;
const vars = JSON.parse(readFileSync(input, "utf8"));
vars.approvals = BigInt(vars.approvals);
const evaluate = parse(readFileSync(policy, "utf8"));
for (let i = 0; i < 5000; i++) if (evaluate(vars) !== true) throw new Error("the policy did not hold");
const began = process.hrtime.bigint();
for (let i = 0; i < Number(rounds); i++) evaluate(vars);
console.log(`unchecked ${(Number(process.hrtime.bigint() - began) / Number(rounds)).toFixed(1)}`);
