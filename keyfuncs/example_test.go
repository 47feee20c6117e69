package keyfuncs_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"

	"github.com/market-intel-brain/dlm/keyfuncs"
)

// show prints the key of one request.
func show(f keyfuncs.Func, r *http.Request) {
	key, err := f(r)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(key)
}

func get(target string) *http.Request {
	return httptest.NewRequest(http.MethodGet, target, nil)
}

func ExampleTemplate() {
	order, err := keyfuncs.Template("order_<id>")
	if err != nil {
		fmt.Println(err)
		return
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders/{id}", func(_ http.ResponseWriter, r *http.Request) {
		show(order, r)
	})
	mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/orders/42", nil))
	mux.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("POST", "/orders/42_7", nil))
	// Output:
	// order_42
	// order_42%5F7
}

// A template that does not compile says where and why.
func ExampleTemplate_mistake() {
	_, err := keyfuncs.Template("quote_<symbol>_<qurey:page>")
	message, _, _ := strings.Cut(err.Error(), ";")
	fmt.Println(message)
	// Output:
	// keyfuncs: unknown source "qurey"
}

func ExampleMustTemplate() {
	listing := keyfuncs.MustTemplate("quotes_<query:market|lower>_<query:page|default=1>")
	show(listing, get("/quotes?market=XETRA&page=2"))
	show(listing, get("/quotes?market=xetra"))
	show(listing, get("/quotes"))
	// Output:
	// quotes_xetra_2
	// quotes_xetra_1
	// keyfuncs: the request has no query "market", or an empty one
}

// Outside the router a request has no route parameters yet, so that every
// request is refused. Put the key inside, around the routed handler.
func ExampleMustTemplate_incorrect() {
	order := keyfuncs.MustTemplate("order_<id>")
	mux := http.NewServeMux()
	mux.HandleFunc("GET /orders/{id}", func(http.ResponseWriter, *http.Request) {})

	outside := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		show(order, r) // too early
		mux.ServeHTTP(w, r)
	})
	outside.ServeHTTP(httptest.NewRecorder(), get("/orders/42"))
	// Output:
	// keyfuncs: the request has no param "id", or an empty one
}

// Check finds a name that the route does not have before a request does.
func ExampleCheck() {
	fmt.Println(keyfuncs.Check("order_<id>", "GET /orders/{id}"))
	fmt.Println(keyfuncs.Check("order_<id>", "/orders/:id"))
	fmt.Println(keyfuncs.Check("server_<host>", "/servers/{host}"))
	// Output:
	// <nil>
	// <nil>
	// keyfuncs: in template "server_<host>", <host> is not the parameter "host" of route "/servers/{host}"; write <param:host> for that, or give the parameter another name
}

func ExampleParam() {
	mux := http.NewServeMux()
	mux.HandleFunc("/orders/{id}", func(_ http.ResponseWriter, r *http.Request) {
		show(keyfuncs.Param("id"), r)
	})
	mux.ServeHTTP(httptest.NewRecorder(), get("/orders/42"))
	// Output:
	// 42
}

// A job that has no request makes one to learn the key it wants to purge.
func ExampleParam_purge() {
	order := keyfuncs.MustTemplate("order_<id>")
	r := new(http.Request)
	r.SetPathValue("id", "42/a")
	show(order, r)
	// Output:
	// order_42/a
}

func ExampleQuery() {
	show(keyfuncs.Query("page"), get("/orders?page=2"))
	show(keyfuncs.Query("page"), get("/orders?page=2&page=3")) // what r.URL.Query().Get gives
	// Output:
	// 2
	// 2
}

func ExampleQuerySorted() {
	search := keyfuncs.QuerySorted("q", "page", "tag")
	show(search, get("/search?tag=b&tag=a&q=go&utm_source=x"))
	show(search, get("/search?q=%67o&tag=b&tag=a"))
	show(search, get("/search"))
	// Output:
	// ?q=go&tag=b&tag=a
	// ?q=go&tag=b&tag=a
	// ?
}

func ExampleHeader() {
	r := get("/")
	r.Header.Set("X-Tenant", "acme")
	show(keyfuncs.Header("x-tenant"), r)
	// Output:
	// acme
}

func ExampleCookie() {
	r := get("/")
	r.AddCookie(&http.Cookie{Name: "theme", Value: "dark"})
	r.AddCookie(&http.Cookie{Name: "sid", Value: "s3cret"})
	show(keyfuncs.Cookie("theme"), r)
	key, _ := keyfuncs.MustTemplate("session_<cookie:sid|hash>")(r)
	fmt.Println(key[:16] + "…")
	// Output:
	// dark
	// session_1ec1c26b…
}

func ExampleContext() {
	authenticate := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx := keyfuncs.WithValue(r.Context(), "user", "ann@example.com")
			next.ServeHTTP(w, r.WithContext(ctx))
		})
	}
	handler := authenticate(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		show(keyfuncs.Context("user"), r)
	}))
	handler.ServeHTTP(httptest.NewRecorder(), get("/"))
	// Output:
	// ann@example.com
}

func ExampleWithValue() {
	r := get("/")
	r = r.WithContext(keyfuncs.WithValue(r.Context(), "tenant", "acme"))
	show(keyfuncs.MustTemplate("<context:tenant>:report"), r)
	// Output:
	// acme:report
}

func ExampleJSON() {
	r := httptest.NewRequest(http.MethodPost, "/pay", strings.NewReader(`{"order":{"id":42}}`))
	show(keyfuncs.JSON("/order/id"), r)

	body, _ := io.ReadAll(r.Body) // the handler still reads all of it
	fmt.Printf("%s\n", body)
	// Output:
	// 42
	// {"order":{"id":42}}
}

func ExampleForm() {
	r := httptest.NewRequest(http.MethodPost, "/pay", strings.NewReader("order=42&note=thanks"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	show(keyfuncs.Form("order"), r)
	fmt.Println(r.PostFormValue("note"))
	// Output:
	// 42
	// thanks
}

func ExampleWithMaxBody() {
	pay := keyfuncs.MustTemplate("order_<json:/order>", keyfuncs.WithMaxBody(16))
	show(pay, httptest.NewRequest(http.MethodPost, "/pay", strings.NewReader(`{"order":42}`)))
	show(pay, httptest.NewRequest(http.MethodPost, "/pay", strings.NewReader(`{"order":42,"note":""}`)))
	// Output:
	// order_42
	// keyfuncs: the request body is larger than 16 bytes; raise the bound with WithMaxBody
}

func ExampleMethod() {
	show(keyfuncs.Method(), get("/"))
	// Output:
	// GET
}

func ExampleHost() {
	r := get("/")
	r.Host = "Shop.Example.COM:80"
	show(keyfuncs.Host(), r)
	// Output:
	// shop.example.com
}

func ExamplePath() {
	show(keyfuncs.Path(), get("/orders/%34%32?page=2"))
	show(keyfuncs.Path(), get("/files/a%2Fb")) // one segment, not two
	// Output:
	// /orders/42
	// /files/a%252Fb
}

func ExampleRoute() {
	mux := http.NewServeMux()
	mux.HandleFunc("/reports/daily", func(_ http.ResponseWriter, r *http.Request) {
		show(keyfuncs.Route(), r)
	})
	mux.ServeHTTP(httptest.NewRecorder(), get("/reports/daily"))
	// Output:
	// /reports/daily
}

func ExampleIP() {
	r := get("/")
	r.RemoteAddr = "10.0.0.5:41312"
	r.Header.Set("X-Forwarded-For", "1.1.1.1, 198.51.100.7") // the first is the client's own invention
	show(keyfuncs.IP(), r)
	show(keyfuncs.IP(netip.MustParsePrefix("10.0.0.0/8")), r)
	// Output:
	// 10.0.0.5
	// 198.51.100.7
}

func ExampleWithTrustedProxies() {
	perClient := keyfuncs.MustTemplate("login_<ip>",
		keyfuncs.WithTrustedProxies(netip.MustParsePrefix("10.0.0.0/8")))
	r := get("/")
	r.RemoteAddr = "10.0.0.5:41312"
	r.Header.Set("Forwarded", `for="[2001:db8::7]:55123"`)
	show(perClient, r)
	// Output:
	// login_2001:db8::7
}

func ExampleStatic() {
	show(keyfuncs.Static("nightly-report"), get("/"))
	// Output:
	// nightly-report
}

func ExamplePrefix() {
	order := keyfuncs.MustTemplate("order_<query:id>")
	show(keyfuncs.Prefix("v2:", order), get("/?id=42"))
	// Output:
	// v2:order_42
}

func ExampleJoin() {
	search := keyfuncs.Join(keyfuncs.Static("search"), keyfuncs.Query("market"), keyfuncs.QuerySorted("q", "page"))
	show(search, get("/search?market=xetra&page=2&q=sap"))
	show(search, get("/search?market=x:y"))
	// Output:
	// search:xetra:?page=2&q=sap
	// search:x%3Ay:?
}

func ExampleHash() {
	filter := keyfuncs.Hash(keyfuncs.Path(), keyfuncs.QuerySorted())
	key, _ := keyfuncs.Prefix("search:", filter)(get("/search?q=" + strings.Repeat("long", 500)))
	fmt.Println(len(key))
	// Output:
	// 71
}

// Signed-in users by name, all others by address; and a user who calls himself
// 192.0.2.1 is still somebody else.
func ExampleFirst() {
	caller := keyfuncs.First(keyfuncs.Context("user"), keyfuncs.IP())
	r := get("/")
	show(caller, r)
	show(caller, r.WithContext(keyfuncs.WithValue(r.Context(), "user", "192.0.2.1")))
	// Output:
	// ~1:192.0.2.1
	// 192.0.2.1
}

func ExampleWhen() {
	isAdmin := func(r *http.Request) bool { return r.Header.Get("X-Role") == "admin" }
	f := keyfuncs.When(isAdmin, keyfuncs.Static("admin"), keyfuncs.Query("user"))
	r := get("/?user=admin")
	show(f, r)
	r.Header.Set("X-Role", "admin")
	show(f, r)
	// Output:
	// ~1:admin
	// admin
}

// Every error of a key says which response it deserves.
func ExampleMissingError() {
	_, err := keyfuncs.Query("page")(get("/orders"))

	var missing *keyfuncs.MissingError
	if errors.As(err, &missing) {
		fmt.Println(missing.Source, missing.Name)
	}
	var status interface{ HTTPStatus() int }
	if errors.As(err, &status) {
		fmt.Println(status.HTTPStatus())
	}
	// Output:
	// query page
	// 400
}

// A Func of one's own is just a function. What it returns is the key as it is:
// put it through Join or Hash where it repeats what the client sent.
func ExampleFunc() {
	weekday := func(r *http.Request) (string, error) {
		day := r.URL.Query().Get("day")
		if day == "" {
			return "", &keyfuncs.MissingError{Source: "query", Name: "day"}
		}
		return strings.ToLower(day), nil
	}
	show(keyfuncs.Join(keyfuncs.Static("menu"), weekday), get("/?day=Mon"))
	// Output:
	// menu:mon
}
