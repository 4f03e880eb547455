// cel-peer.go - `./dev bench cel`: the policy by cel-go; the program is built and the input parsed before the clock starts.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"cel.dev/cel-go/cel"
)

type finding = map[string]any

func main() {
	policy, err := os.ReadFile(os.Args[1])
	if err != nil {
		panic(err)
	}
	text, err := os.ReadFile(os.Args[2])
	if err != nil {
		panic(err)
	}
	rounds, _ := strconv.Atoi(os.Args[3])
	var in struct {
		Coverage  float64
		Approvals int64
		Branch    string
		Findings  []finding
		Licences  []string
	}
	if err := json.Unmarshal(text, &in); err != nil {
		panic(err)
	}
	env, err := cel.NewEnv(
		cel.Variable("coverage", cel.DoubleType), cel.Variable("approvals", cel.IntType), cel.Variable("branch", cel.StringType),
		cel.Variable("findings", cel.ListType(cel.MapType(cel.StringType, cel.DynType))),
		cel.Variable("licences", cel.ListType(cel.StringType)))
	if err != nil {
		panic(err)
	}
	ast, issues := env.Compile(string(policy))
	if issues != nil && issues.Err() != nil {
		panic(issues.Err())
	}
	program, err := env.Program(ast, cel.EvalOptions(cel.OptOptimize))
	if err != nil {
		panic(err)
	}
	vars := map[string]any{"coverage": in.Coverage, "approvals": in.Approvals, "branch": in.Branch, "findings": in.Findings, "licences": in.Licences}
	began := time.Now()
	for i := 0; i < rounds; i++ {
		out, _, err := program.Eval(vars)
		if err != nil || out.Value() != true {
			panic(fmt.Sprint("the policy did not hold: ", out, err))
		}
	}
	fmt.Printf("checked %.1f\n", float64(time.Since(began).Nanoseconds())/float64(rounds))
}
