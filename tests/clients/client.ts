// A client as its users would write it, with the types that are made from /openapi.json.
import createClient from "openapi-fetch";
import type { components, paths } from "./topgenre.ts";

const [baseUrl, song] = Deno.args;
const client = createClient<paths>({ baseUrl });

const { data: told } = await client.GET("/info");
const { data: checked } = await client.GET("/check", {
  params: { query: { url: "youtu.be/dQw4w9WgXcQ" } },
});
const { data: none, error: refused } = await client.POST("/predict", {
  body: { url: "https://vimeo.com/1" },
});
const code: components["schemas"]["Failure"]["code"] | undefined = refused?.code;

const form = new FormData();
form.append("file", new Blob([Deno.readFileSync(song)]), "песня.mp3");
const { data: answer, response } = await client.POST("/predict", {
  params: { query: { include: ["clips", "mel"] } },
  body: { file: "" },
  bodySerializer: () => form,
});
if (!answer) throw new Error(`${response.status}`);
const best: number = answer.results[answer.top_prediction];
const starts: number[] = answer.timeline.map((clip) => clip.start);
const warnings: readonly string[] = answer.warnings;

console.log(JSON.stringify({
  genres: told?.genres,
  id: checked?.id,
  none: none ?? null,
  code,
  title: answer.video_title,
  best,
  starts,
  warnings,
  columns: answer.mel?.columns,
  percent: answer.clips?.percent.length,
}));
