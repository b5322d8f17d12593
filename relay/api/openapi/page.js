// The document lies beside the page's folder, wherever a proxy may have put both.
const place = new URL("../openapi.json", document.currentScript.src).href;

window.addEventListener("load", () => {
  SwaggerUIBundle({
    url: place,
    dom_id: "#api",
    validatorUrl: null,
    deepLinking: true,
    docExpansion: "list",
    defaultModelsExpandDepth: 0,
    displayRequestDuration: true,
    syntaxHighlight: { activated: true },
    presets: [SwaggerUIBundle.presets.apis],
    layout: "BaseLayout",
  });
});
