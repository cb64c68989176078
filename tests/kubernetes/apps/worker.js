// A worker without a port: it touches its heartbeat every two seconds. At TERM it finishes its job, which takes
// two seconds more, and ends with 0; at USR2 it hangs.
const fs = require("node:fs");

const beat = () => fs.writeFileSync(process.env.HEARTBEAT_FILE, "");
beat();
setInterval(beat, 2000);
process.on("SIGTERM", () => {
  setTimeout(() => {
    console.log("job finished");
    process.exit(0);
  }, 2000);
});
process.on("SIGUSR2", () => {
  for (;;);
});
console.log("ready");
