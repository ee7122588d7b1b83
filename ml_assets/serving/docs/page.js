"use strict";

// Where there are tokens, the document names no feature to who has none. The token is kept in this page only, and sent
// along with what is tried out.
const form = document.getElementById("token");

function asks(content) {
  return !content.paths["/models"].get.security.some((way) => Object.keys(way).length === 0);
}

async function show(secret) {
  const headers = secret ? { Authorization: `Bearer ${secret}` } : {};
  const answer = await fetch("openapi.json", { headers });
  const content = await answer.json();
  document.getElementById("why").textContent = answer.ok ? "" : `${content.detail}: ${content.remedy}`;
  if (!answer.ok) {
    form.hidden = false;
    return;
  }
  form.hidden = !asks(content);
  SwaggerUIBundle({
    spec: content,
    dom_id: "#swagger-ui",
    deepLinking: true,
    validatorUrl: null,
    requestInterceptor: (request) => {
      Object.assign(request.headers, headers);
      return request;
    },
  });
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  show(form.elements.secret.value.trim());
});
show("");
