// main URL TOKEN: the OpenFeature SDK for Go with its OFREP provider, as published, against a weir that has the flags of clients.py.
package main

import (
	"context"
	"fmt"
	"os"
	"reflect"

	"github.com/open-feature/go-sdk-contrib/providers/ofrep"
	"github.com/open-feature/go-sdk/openfeature"
)

func must(ok bool, what string, seen any) {
	if !ok {
		fmt.Printf("not so: %s: %+v\n", what, seen)
		os.Exit(1)
	}
}

func client(name, url, token string) *openfeature.Client {
	err := openfeature.SetNamedProviderAndWait(name, ofrep.NewProvider(url, ofrep.WithBearerToken(token)))
	must(err == nil, "the provider is ready", err)
	return openfeature.NewClient(name)
}

func main() {
	ctx := context.Background()
	c := client("good", os.Args[1], os.Args[2])
	staff := openfeature.NewEvaluationContext("u1", map[string]any{"email": "a@example.org"})
	other := openfeature.NewEvaluationContext("u2", nil)

	text, err := c.StringValueDetails(ctx, "banner", "none", staff)
	must(err == nil && text.Value == "#00f" && text.Variant == "blue" && text.Reason == openfeature.TargetingMatchReason, "a rule that matches", text)
	text, err = c.StringValueDetails(ctx, "banner", "none", other)
	must(err == nil && text.Value == "#f00" && text.Reason == openfeature.DefaultReason, "a rule that does not", text)
	truth, err := c.BooleanValueDetails(ctx, "new-cart", true, other)
	must(err == nil && !truth.Value && truth.Reason == openfeature.StaticReason, "no rule", truth)
	number, err := c.FloatValue(ctx, "limit", 0, other)
	must(err == nil && number == 2.5, "a number", number)
	whole, err := c.IntValueDetails(ctx, "count", 0, other)
	must(err == nil && whole.Value == 12, "a whole number", whole)
	object, err := c.ObjectValue(ctx, "layout", nil, other)
	want := map[string]any{"columns": []any{float64(1), float64(2)}, "dark": true}
	must(err == nil && reflect.DeepEqual(object, want), "an object", object)
	// the caller's own default counts; providers older than answers without a value call them an error and give it all the same
	truth, _ = c.BooleanValueDetails(ctx, "killed", true, other)
	must(truth.Value, "switched off", truth)
	text, err = c.StringValueDetails(ctx, "nothing", "fallback", other)
	must(err != nil && text.Value == "fallback" && text.ErrorCode == openfeature.FlagNotFoundCode, "no such flag", text)
	whole, err = c.IntValueDetails(ctx, "banner", 7, staff)
	must(err != nil && whole.Value == 7 && whole.ErrorCode == openfeature.TypeMismatchCode, "another type", whole)
	truth, err = c.BooleanValueDetails(ctx, "broken", true, other)
	must(err != nil && truth.Value && truth.ErrorCode == openfeature.GeneralCode, "a rule that names no variant", truth)

	bad := client("bad", os.Args[1], "nonsense")
	truth, err = bad.BooleanValueDetails(ctx, "new-cart", true, other)
	must(err != nil && truth.Value && truth.ErrorCode == openfeature.GeneralCode, "a wrong token", truth)
	fmt.Println("openfeature (go): all as it should be")
}
