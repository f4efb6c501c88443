import type { FastifyInstance } from "fastify";
import { CITIES, type City, cityNamed } from "./model/cities.ts";
import { hasHangul } from "./model/korean.ts";
import { digestOf, numbersFrom } from "./seeded.ts";

const CONDITIONS: readonly (readonly [string, string])[] = [
  ["맑음", "clear"],
  ["구름 많음", "partly cloudy"],
  ["흐림", "cloudy"],
  ["비", "rain"],
  ["눈", "snow"],
  ["안개", "fog"],
];
const GRADES: readonly (readonly [string, string])[] = [
  ["좋음", "good"],
  ["보통", "moderate"],
  ["나쁨", "bad"],
  ["매우 나쁨", "very bad"],
];
const KNOWN = CITIES.filter((city) => city.korean);

/**
 * A made-up weather and air service for example agents: the same city always has the same values, whichever of its
 * names is used; texts come in the language of the name. No city is 400, an unknown one 404, both with `{ error }`.
 */
export async function demoApi(app: FastifyInstance): Promise<void> {
  const serve = (path: string, describe: (city: City, korean: boolean) => object): void => {
    app.get(path, async (request, reply) => {
      const name = (request.query as Record<string, unknown>).city;
      if (typeof name !== "string" || name.trim() === "") {
        return reply.code(400).send({ error: "the query parameter city is required" });
      }
      const city = cityNamed(name);
      if (city === undefined || !city.korean) {
        return reply
          .code(404)
          .send({ error: `unknown city: ${name.slice(0, 100)}`, known: KNOWN.map((known) => known.en) });
      }
      const korean = hasHangul(name);
      return { city: korean ? city.ko : city.en, ...describe(city, korean) };
    });
  };
  serve("/demo/weather", weatherOf);
  serve("/demo/air", airOf);
}

function weatherOf(city: City, korean: boolean): object {
  const next = numbersFrom(digestOf(["weather", city.en]));
  const condition = CONDITIONS[next(0, CONDITIONS.length - 1)] ?? ["맑음", "clear"];
  // Snow wants frost and rain wants none; a demo that says "snow, 28 °C" looks broken.
  const temperature = condition[1] === "snow" ? next(-9, 0) : next(2, 29);
  return {
    condition: condition[korean ? 0 : 1],
    temperature_c: temperature,
    humidity_percent: next(30, 90),
    wind_mps: next(2, 90) / 10,
  };
}

function airOf(city: City, korean: boolean): object {
  const next = numbersFrom(digestOf(["air", city.en]));
  const pm10 = next(8, 160);
  const pm25 = Math.max(3, Math.round((pm10 * next(30, 60)) / 100));
  // Grades by the Korean scale for PM10: to 30, 80 and 150 µg/m³.
  const grade = GRADES[pm10 <= 30 ? 0 : pm10 <= 80 ? 1 : pm10 <= 150 ? 2 : 3] ?? ["보통", "moderate"];
  return { pm10_ugm3: pm10, pm25_ugm3: pm25, grade: grade[korean ? 0 : 1] };
}
