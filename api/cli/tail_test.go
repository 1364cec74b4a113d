package cli

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"

	"github.com/hangarshare/hangarshare-realtime/api/tail"
)

// TestTailKnowsEveryMessage prints each type of message that openapi.yaml has, with the examples of
// its schema, as a line for people.
func TestTailKnowsEveryMessage(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	document, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		t.Fatal(err)
	}
	messages := document.Components.Schemas["Message"].Value
	var described []string
	for name, ref := range messages.Discriminator.Mapping {
		described = append(described, name)
		schema := document.Components.Schemas[ref.Ref[strings.LastIndexByte(ref.Ref, '/')+1:]].Value
		data, err := json.Marshal(exampleOf(schema.Properties["data"].Value))
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := printMessage(&out, tail.Message{Type: name, Timestamp: 1, Data: data, JSON: data}); err != nil {
			t.Fatal(err)
		}
		words := strings.Join(strings.Fields(out.String())[1+strings.Count(name, "_")+1:], " ")
		if words == "" || strings.ContainsAny(words, "{}") || strings.Contains(words, "%!") {
			t.Errorf("%s of %s is told as %q", name, data, out.String())
		}
	}
	slices.Sort(described)
	if told := slices.Sorted(maps.Keys(tellings)); len(described) < 10 || !slices.Equal(told, described) {
		t.Errorf("told are %v, described %v", told, described)
	}
}

// TestTailOfNewerServers prints what is not known as it was sent.
func TestTailOfNewerServers(t *testing.T) {
	t.Parallel()
	for typ, data := range map[string]string{"weather_changed": `{"wind":"strong"}`, "pong": `[1]`, "error": `{"code":[]}`} {
		var out bytes.Buffer
		if err := printMessage(&out, tail.Message{Type: typ, Data: []byte(data)}); err != nil || !strings.HasSuffix(out.String(), " "+data+"\n") {
			t.Errorf("%s: %q, %v", typ, out.String(), err)
		}
	}
}

// exampleOf returns a value that a schema describes, of its examples as far as it has any.
func exampleOf(schema *openapi3.Schema) any {
	switch {
	case schema.Example != nil:
		return schema.Example
	case len(schema.Enum) > 0:
		return schema.Enum[0]
	case schema.Type.Is("object"):
		value := map[string]any{}
		for name, property := range schema.Properties {
			value[name] = exampleOf(property.Value)
		}
		return value
	case schema.Type.Is("array"):
		return []any{exampleOf(schema.Items.Value)}
	case schema.Type.Is("boolean"):
		return true
	case schema.Type.Is("integer"), schema.Type.Is("number"):
		return 1
	}
	return "text"
}
