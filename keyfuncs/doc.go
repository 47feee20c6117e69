// Package keyfuncs derives keys from HTTP requests: the names under which
// requests exclude each other and responses are stored. Keys are readable, and
// no value in a request can forge the key of another.
//
//	order := keyfuncs.MustTemplate("order_<id>")                            // order_42
//	quote := keyfuncs.MustTemplate("quote_<symbol|lower>_<query:page|default=1>") // quote_sap_2
//	cart  := keyfuncs.Join(keyfuncs.Static("cart"), keyfuncs.Context("user"))     // cart:ann
//
// A [Func] is a plain function of an *http.Request. It works wherever there is
// one, and is tested with net/http/httptest alone. All Funcs of this package
// are safe for concurrent use.
//
// # Templates
//
// A template is text with placeholders in angle brackets; braces mean the same.
// Doubled brackets, << >> {{ }}, stand for themselves. Templates are compiled
// once; a mistake is a [SyntaxError] that points at it.
//
//	<id>            route parameter id; <param:id> for any name, also that of a source
//	<query:page>    first value of a query parameter
//	<header:X-Org>  first value of a header field
//	<cookie:sid>    cookie
//	<json:/a/b>     scalar in a JSON body, by JSON pointer (RFC 6901)
//	<form:field>    field of a form in the body, URL-encoded or multipart
//	<context:user>  value that the application stored by WithValue
//	<method>        request method
//	<host>          host, in lower case, without the default port
//	<path>          path of the URL, with needless escapes undone
//	<route>         pattern of the matched route
//	<ip>            address of the client; see WithTrustedProxies
//
// Modifiers follow the source, in the order in which they apply:
//
//	|lower          A to Z become a to z; other letters stay as they are
//	|hash           SHA-256 of the value, in hexadecimal
//	|default=text   text, where the client sent no value or an empty one
//	|optional       nothing, where the client sent no value
//
// Default and optional decide before the others, wherever they stand, so
// that a default is treated like the same value from the client.
//
// # Missing values
//
// A value that is absent, or empty, is an error and never an empty place in
// the key: all requests that leave it out would meet on one key. With default,
// both are as if the client had sent the text. With optional, an absent value
// is nothing and an empty one is %--, so that the two differ.
//
// A route parameter that the matched route does not have is the program's
// mistake, and neither default nor optional hides it. It is told from a
// parameter left empty by the Pattern of the request; without a Pattern it
// counts as missing. Use [Check] where routes are registered.
//
// Every error has a method HTTPStatus that returns the status it deserves:
//
//	MissingError       400  the client left a value out
//	MalformedError     400  the client sent what cannot be read
//	BodyTooLargeError  413  the body is longer than a key may read
//	RouteError         500  the route does not have the parameter
//
// # Encoding
//
// Keys consist of printable ASCII characters other than space, { and }. In a
// value, letters, digits and
//
//   - _ . ~ @ : / + , =
//
// stand for themselves, except for the punctuation that the template itself
// uses, and for the character that follows the placeholder. All other bytes
// are written %XX. The percent sign is always escaped, and a separator between
// two placeholders is mandatory.
//
// It follows that a key reads back to its values, so that different values
// have different keys: of <a>_<b>, the values 1_2 and 3 give 1%5F2_3, while 1 and
// 2_3 give 1_2%5F3. Nor can the value 42_items in order_<id> forge a key of
// order_<id>_items. Fuzz tests hold both for arbitrary bytes.
//
// The text of a template, of [Static] and of [Prefix] stands for itself except
// for %, {, }, space and what is not ASCII, which are escaped. [Join] escapes
// colons and percent signs in its parts, [Hash] frames them by their length,
// and [First] and [When] mark their alternatives. A Func of your own is taken at
// its word: put what it returns through Join or Hash if clients can choose it.
//
// # One value, one key
//
// Whoever can spell one value in two ways can walk around a lock. So a key
// reads what handlers read: the first value of a repeated query parameter,
// header or form field; nothing of a query pair with a semicolon or a broken
// escape, which net/url skips; the path with its needless escapes undone, but
// %2F told from a slash; 42, 42.0 and "42" in JSON as one value, while a member
// that stands twice or in other case is refused.
//
// Route parameters are decoded values. An adapter that stamps them with
// [http.Request.SetPathValue] must unescape what its router left escaped.
package keyfuncs
