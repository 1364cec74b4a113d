package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/oasdiff/yaml3"

	"github.com/hangarshare/hangarshare-realtime/handlers"
)

// openAPI serves the description as it was written.
func (s *Server) openAPI() http.HandlerFunc { return describe("application/yaml", s.OpenAPI) }

// openAPIJSON serves the description for programs that read no YAML, the page at /docs among them.
// It is converted here, once; a description that is no YAML is a mistake in the program itself.
func (s *Server) openAPIJSON() http.HandlerFunc {
	var document yaml.Node
	if err := yaml.Unmarshal(s.OpenAPI, &document); err != nil {
		panic(fmt.Sprintf("api: openapi.yaml: %v", err))
	}
	var text bytes.Buffer
	if err := writeJSON(&text, &document); err != nil {
		panic(fmt.Sprintf("api: openapi.yaml: %v", err))
	}
	return describe("application/json", text.Bytes())
}

func describe(contentType string, text []byte) http.HandlerFunc {
	content := handlers.NewContent(text)
	return func(w http.ResponseWriter, r *http.Request) { content.Respond(w, r, contentType) }
}

// writeJSON writes YAML as JSON in the order in which it was written: people read it.
func writeJSON(out *bytes.Buffer, node *yaml.Node) error {
	switch node.Kind {
	case yaml.DocumentNode:
		return writeJSON(out, node.Content[0])
	case yaml.AliasNode:
		return writeJSON(out, node.Alias)
	case yaml.SequenceNode:
		return writeList(out, '[', ']', node.Content, func(_ int, item *yaml.Node) error { return writeJSON(out, item) })
	case yaml.MappingNode:
		return writeList(out, '{', '}', node.Content, func(i int, item *yaml.Node) error {
			if i%2 == 0 { // a name; JSON has no others than texts
				return writeValue(out, item.Value)
			}
			return writeJSON(out, item)
		})
	case yaml.ScalarNode:
		if digits := json.Number(node.Value); node.ShortTag() == "!!float" && json.Valid([]byte(digits)) {
			return writeValue(out, digits) // with the decimals as they were written
		}
		var value any
		if err := node.Decode(&value); err != nil {
			return err
		}
		return writeValue(out, value)
	default: // an empty document
		return writeValue(out, nil)
	}
}

// writeList writes items between brackets; in an object, names and values alternate.
func writeList(out *bytes.Buffer, open, end byte, items []*yaml.Node, write func(int, *yaml.Node) error) error {
	out.WriteByte(open)
	for i, item := range items {
		if i > 0 {
			separator := byte(',')
			if open == '{' && i%2 == 1 {
				separator = ':'
			}
			out.WriteByte(separator)
		}
		if err := write(i, item); err != nil {
			return err
		}
	}
	out.WriteByte(end)
	return nil
}

func writeValue(out *bytes.Buffer, value any) error {
	text, err := json.Marshal(value)
	out.Write(text)
	return err
}
