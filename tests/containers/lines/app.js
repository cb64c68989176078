// Says a few words, and dies of an error that has a cause.

function connect(port) {
  throw new Error(`nobody listens at ${port}`);
}

console.log("listening at the caf\u00e9");
console.log(JSON.stringify({ level: 50, time: 1795348800123, msg: "said as JSON" }));
console.error("[warn] slow start");
console.error("a word on standard error");
try {
  connect(5432);
} catch (error) {
  throw new Error("cannot start", { cause: error });
}
