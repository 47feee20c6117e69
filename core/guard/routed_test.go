package guard_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/market-intel-brain/dlm/core/cache"
	"github.com/market-intel-brain/dlm/core/guard"
)

// framework stands for one with a router of its own: /KIND/VALUE gives the value
// the parameter KIND.
type framework struct {
	*guard.Guard
	handler http.HandlerFunc
}

var patterns = map[string]string{"order": "/order/:order", "quote": "/quote/:quote", "other": "/other/:other", "fail": "/fail/:fail"}

func (f framework) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	kind, value, _ := strings.Cut(r.URL.Path[1:], "/")
	routed := guard.NewRouted(r.Context(), r, patterns[kind])
	routed.SetPathValue(kind, value)
	if f.Hit(w, routed) {
		return
	}
	err := f.ServeRouted(w, routed, func(w http.ResponseWriter, r *http.Request) error { f.handler(w, r); return nil })
	if err != nil {
		guard.WriteRefusal(w, err)
	}
}

// newFramework answers with what the key function and the handler find in their
// requests.
func newFramework(tb testing.TB, cfg guard.Config) framework {
	cfg.Store = cache.NewMemory(1 << 20)
	cfg.Key = func(r *http.Request) (string, error) {
		if r.PathValue("fail") != "" {
			return "", fmt.Errorf("no key for %q", r.PathValue("fail"))
		}
		return fmt.Sprintf("%s|order=%s|quote=%s|outer=%s", r.Pattern, r.PathValue("order"), r.PathValue("quote"), r.PathValue("outer")), nil
	}
	g := newGuard(tb, cfg)
	return framework{g, func(w http.ResponseWriter, r *http.Request) {
		key, _ := cfg.Key(r)
		_, _ = w.Write([]byte(key))
	}}
}

func body(h http.Handler, path string) string {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w.Body.String()
}

// No key function and no handler sees a parameter of another request, least of
// all one that its own route does not have. The race detector watches.
func TestRouteParametersStayWithTheirRequest(t *testing.T) {
	for name, fresh := range map[string]time.Duration{"cached": time.Hour, "serialized": 0} {
		t.Run(name, func(t *testing.T) {
			f := newFramework(t, guard.Config{Fresh: fresh})
			var all sync.WaitGroup
			for worker := range 4 {
				all.Go(func() {
					for i := range 100 {
						id := fmt.Sprint(worker, ".", i%10)
						assert.Equal(t, "/order/:order|order="+id+"|quote=|outer=", body(f, "/order/"+id))
						assert.Equal(t, "/quote/:quote|order=|quote="+id+"|outer=", body(f, "/quote/"+id))
						assert.Equal(t, "/other/:other|order=|quote=|outer=", body(f, "/other/"+id))
					}
				})
			}
			all.Wait()
		})
	}
}

// A request that a handler was given is the handler's, also later.
func TestRequestOfAHandlerIsItsOwn(t *testing.T) {
	f := newFramework(t, guard.Config{Fresh: time.Hour})
	answer := f.handler
	var kept []*http.Request
	f.handler = func(w http.ResponseWriter, r *http.Request) {
		kept = append(kept, r)
		answer(w, r)
	}
	for range 3 { // one miss and two hits each
		body(f, "/order/1")
		body(f, "/order/2")
	}
	require.Len(t, kept, 2)
	require.Equal(t, "1", kept[0].PathValue("order"))
	require.Equal(t, "2", kept[1].PathValue("order"))
}

func TestKeyOfARoutedRequestFails(t *testing.T) {
	f := newFramework(t, guard.Config{Fresh: time.Hour})
	f.handler = func(http.ResponseWriter, *http.Request) { t.Error("the handler ran") }
	for range 2 {
		w := httptest.NewRecorder()
		f.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/fail/1", nil))
		require.Equal(t, http.StatusBadRequest, w.Code)
	}
}

// What an outer router has found out stays, for the guarded handler and for the
// outer one.
func TestRoutedLeavesTheOuterRouterAlone(t *testing.T) {
	for name, outer := range map[string]func(*http.Request){
		"with a pattern": func(r *http.Request) {
			r.Pattern = "/{outer}/"
			r.SetPathValue("outer", "o")
			r.SetPathValue("order", "o")
		},
		"without a pattern": func(r *http.Request) { r.SetPathValue("outer", "o"); r.SetPathValue("order", "o") },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFramework(t, guard.Config{Fresh: time.Hour})
			for range 3 {
				r := httptest.NewRequest(http.MethodGet, "/order/1", nil)
				outer(r)
				pattern := r.Pattern
				w := httptest.NewRecorder()
				f.ServeHTTP(w, r)
				require.Equal(t, "/order/:order|order=1|quote=|outer=o", w.Body.String())
				require.Equal(t, "o", r.PathValue("order"))
				require.Equal(t, pattern, r.Pattern)
			}
			require.Equal(t, "/order/:order|order=2|quote=|outer=", body(f, "/order/2"))
		})
	}
	mux := http.NewServeMux()
	f := newFramework(t, guard.Config{Fresh: time.Hour})
	mux.HandleFunc("/{order}/", func(w http.ResponseWriter, r *http.Request) {
		f.ServeHTTP(w, r)
		require.Equal(t, "order", r.PathValue("order"))
	})
	require.Equal(t, "/order/:order|order=1|quote=|outer=", body(mux, "/order/1"))
	require.Equal(t, "/order/:order|order=1|quote=|outer=", body(mux, "/order/1"))
}

// A field that a new version of Go gives to requests must not be lost.
func TestRoutedRequestHasEveryField(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/order/1", nil)
	filled := reflect.ValueOf(r).Elem()
	for i := range filled.NumField() {
		if filled.Type().Field(i).IsExported() && filled.Type().Field(i).Name != "Pattern" {
			fill(filled.Field(i))
		}
	}
	f := newFramework(t, guard.Config{})
	f.handler = func(_ http.ResponseWriter, got *http.Request) {
		for i := range filled.NumField() {
			field := filled.Type().Field(i)
			if !field.IsExported() || field.Name == "Pattern" {
				continue
			}
			value := reflect.ValueOf(got).Elem().Field(i)
			assert.False(t, value.IsZero(), field.Name)
			if field.Type.Kind() != reflect.Func && field.Name != "Body" {
				assert.Equal(t, filled.Field(i).Interface(), value.Interface(), field.Name)
			}
		}
		assert.Equal(t, "/order/:order", got.Pattern)
	}
	w := httptest.NewRecorder()
	f.ServeHTTP(w, r)
	require.Equal(t, http.StatusOK, w.Code, w.Body)
}

// fill gives v a value that is not zero, where it has none yet.
func fill(v reflect.Value) {
	if !v.IsZero() {
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
	case reflect.Chan:
		v.Set(reflect.MakeChan(reflect.ChanOf(reflect.BothDir, v.Type().Elem()), 0).Convert(v.Type()))
	case reflect.Func:
		v.Set(reflect.MakeFunc(v.Type(), nil))
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	default:
		panic("a field of a kind that this test cannot fill: " + v.Type().String())
	}
}
