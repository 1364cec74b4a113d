package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/go-chi/chi/v5"

	"github.com/hangarshare/hangarshare-realtime/api"
	"github.com/hangarshare/hangarshare-realtime/handlers"
	"github.com/hangarshare/hangarshare-realtime/handlers/stream"
	"github.com/hangarshare/hangarshare-realtime/web"
)

// description reads and checks the file.
func description(t *testing.T) (text []byte, document *openapi3.T) {
	t.Helper()
	text, err := os.ReadFile("../openapi.yaml")
	if err != nil {
		t.Fatal(err)
	}
	if document, err = openapi3.NewLoader().LoadFromData(text); err != nil {
		t.Fatal(err)
	}
	if err := document.Validate(t.Context(), openapi3.EnableExamplesValidation(), openapi3.EnableSchemaFormatValidation()); err != nil {
		t.Fatal(err)
	}
	return text, document
}

func router(text []byte) chi.Router {
	server := &api.Server{
		Log: slog.New(slog.DiscardHandler), Snapshot: &handlers.Snapshot{}, Notifications: &handlers.Notifications{}, Stream: &stream.Server{}, Members: &handlers.Members{}, Feeds: &handlers.Feeds{},
		Tokens: api.NewTokens([]byte("the secret of the description's test")), Site: http.NotFoundHandler(), SitePaths: web.RootPaths(), OpenAPI: text,
		Demo: func(context.Context) ([]handlers.DemoOwner, error) { return nil, nil },
	}
	return server.Router()
}

func TestDescriptionAndRouterAgree(t *testing.T) {
	t.Parallel()
	text, document := description(t)
	var routed, described []string
	err := chi.Walk(router(text), func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if rest, wild := strings.CutSuffix(route, "/*"); wild {
			route = rest + "/{path}" // the form that OpenAPI has for it
		}
		if strings.HasSuffix(route, ".png") {
			route = "/{icon}.png"
		}
		if name := method + " " + route; !slices.Contains(routed, name) {
			routed = append(routed, name)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for path, item := range document.Paths.Map() {
		for method, operation := range item.Operations() {
			described = append(described, method+" "+path)
			if operation.Summary == "" || operation.OperationID == "" || len(operation.Tags) != 1 {
				t.Errorf("%s %s: lacks a summary, an operationId or its one tag", method, path)
			}
		}
	}
	for _, route := range routed {
		if !slices.Contains(described, route) {
			t.Errorf("%s is served and not described", route)
		}
	}
	for _, route := range described {
		if !slices.Contains(routed, route) {
			t.Errorf("%s is described and not served", route)
		}
	}
	if len(routed) < 10 {
		t.Errorf("the router has only %v", routed)
	}
}

func TestDescriptionSaysWhatSchemasAre(t *testing.T) {
	t.Parallel()
	_, document := description(t)
	for name, schema := range document.Components.Schemas {
		if schema.Value.Description == "" {
			t.Errorf("schema %s has no description", name)
		}
		if closed := schema.Value.AdditionalProperties.Has; schema.Value.Type.Is("object") && (closed == nil || *closed) {
			t.Errorf("schema %s leaves open what else it may hold", name)
		}
	}
	message := document.Components.Schemas["Message"].Value
	for typ, mapped := range message.Discriminator.Mapping {
		schema := document.Components.Schemas[strings.TrimPrefix(mapped.Ref, "#/components/schemas/")]
		if schema == nil || !slices.Equal(schema.Value.Properties["type"].Value.Enum, []any{typ}) {
			t.Errorf("messages of type %s are mapped to %s, which are others", typ, mapped.Ref)
		}
	}
	if len(message.Discriminator.Mapping) != len(message.OneOf) {
		t.Errorf("%d kinds of message, %d types", len(message.OneOf), len(message.Discriminator.Mapping))
	}
}

func TestDescriptionAsJSON(t *testing.T) {
	t.Parallel()
	text, document := description(t)
	routes := router(text)
	get := func(path string) *httptest.ResponseRecorder {
		answer := httptest.NewRecorder()
		routes.ServeHTTP(answer, httptest.NewRequest(http.MethodGet, path, nil))
		return answer
	}
	asYAML, asJSON := get("/openapi.yaml"), get("/openapi.json")
	if asYAML.Header().Get("Content-Type") != "application/yaml" || !bytes.Equal(asYAML.Body.Bytes(), text) {
		t.Errorf("the YAML is not the file: %v", asYAML.Header())
	}
	if asJSON.Header().Get("Content-Type") != "application/json" {
		t.Errorf("the JSON has headers %v", asJSON.Header())
	}
	converted, err := openapi3.NewLoader().LoadFromData(asJSON.Body.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if one, other := marshal(t, document), marshal(t, converted); one != other {
		t.Errorf("the JSON says\n%s\nand the YAML\n%s", other, one)
	}
	body := asJSON.Body.String()
	if first, second := strings.Index(body, `"/api/owners/{ownerId}/metrics"`), strings.Index(body, `"/api/auth/me"`); first < 0 || second < first {
		t.Error("the JSON is not in the order of the YAML")
	}
	if !strings.Contains(body, `"revenueToday":4350.00`) {
		t.Error("the JSON does not keep decimals as they are written")
	}
}

func marshal(t *testing.T, document *openapi3.T) string {
	t.Helper()
	text, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
