// The app of the pods: /slow takes two seconds, /stream eight, /hang keeps the process busy for ever. At TERM it
// answers what is open, and ends with 0.
const http = require("node:http");

const server = http.createServer((request, response) => {
  if (request.url === "/hang") for (;;);
  if (request.url === "/slow") {
    setTimeout(() => response.end("slow\n"), 2000);
  } else if (request.url === "/stream") {
    console.log("stream begun");
    let sent = 0;
    const timer = setInterval(() => {
      response.write(`part ${(sent += 1)}\n`);
      if (sent === 8) {
        clearInterval(timer);
        response.end("the last line\n", () => console.log("stream over"));
      }
    }, 1000);
  } else {
    response.end("hello\n");
  }
});

server.listen(Number(process.env.PORT), () => console.log("ready"));
process.on("SIGTERM", () => {
  console.log("TERM");
  server.close(() => process.exit(0));
});
