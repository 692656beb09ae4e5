using Workerd = import "/workerd/workerd.capnp";

const config :Workerd.Config = (
  services = [(name = "main", worker = .noop)],
  sockets = [(name = "http", address = "127.0.0.1:8080", http = (), service = "main")],
);

const noop :Workerd.Worker = (
  modules = [(name = "noop", esModule = "export default { async fetch(request) { await request.json(); return new Response('null'); } };")],
  compatibilityDate = "2025-01-01",
);
