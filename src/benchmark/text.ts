// What the tokenizer is measured on: prose, a letter, Markdown, code, data, and other languages and scripts. It stays as it is:
// a figure means something only beside one of the same text (test/unit/benchmark/text.test.ts holds it to that).

export const TEXT = `# Strings that remember

A quipu is a bundle of cords. One thick cord carries the others, and on each of these somebody has tied knots: single ones for
the thousands, hundreds and tens, long ones with two to nine turns for the ones, a figure of eight for a single one. Where there
is no knot there is a zero, four hundred years before most of Europe wrote one in its account books. The people who made and
read them were called quipucamayocs, keepers of the knots. They counted potatoes, llamas, soldiers and days; they were asked
in courts what a village owed, and what they read from their cords was believed.

We know how the numbers work. In 1912 Leland Locke, a teacher from Brooklyn, noticed that the sum of several pendant cords was
tied again on the cord above them, and with that the decimal system was plain. What we don't know is whether a quipu could hold
a name, a road or a story. About a third of those that are left do not add up to anything. Their colours change in the middle of
a cord; some strings are spun to the left, others to the right; it's possible that every one of those choices meant something,
and it's just as possible that it was what the weaver had at hand.

"You can't read it," said the old man, and he held the cords up against the window so that the light came through, "because
you're looking for letters. My grandmother didn't look at all. She'd close her eyes, take the main cord in her left hand, and
let the right one walk." He smiled. "Sixty-two, she would say. Sixty-two, and then the river. I'll never know how she came to
the river."

Dear Ms. Okonkwo,

thank you for your message of 14 March. The parcel (no. 00-7731/B, 2.4 kg) left our warehouse at 6:45 a.m. on Tuesday and should
have reached you by Thursday, March 21st, at the latest. I'm sorry that it hasn't. We've asked the carrier to look for it; if
it isn't found within five working days, we will send a replacement free of charge, or refund the full price of $129.95, which-
ever you'd rather. You don't need to do anything until then. If you have any further questions, write to help@example.org or
call +44 20 7946 0018 between 9:00 and 17:30.

Yours sincerely,
J. P. Ferreira-Lindqvist

## How the numbers are tied

| turns | knot           | where it hangs    | value            |
| ----: | -------------- | ----------------- | ---------------- |
|     1 | single         | third cluster     | 100              |
|     4 | single         | second cluster    | 40               |
|     7 | long           | lowest cluster    | 7                |
|     - | figure of eight| lowest cluster    | 1                |

1. Count the single knots of each cluster, **from the top down**.
2. A gap is a zero; see [Ascher & Ascher](https://example.org/khipu/ascher?page=12&sort=asc#zero), pp. 29-35.
3. The pendant cords of a group should sum to the *top cord*: 147 + 208 + 65 = 420.

   - If they don't, look for a cord that was broken and mended.
   - If they still don't, it may not be a number: 2/3 of the 1,054 that have been described are numbers, 1/3 aren't.

---

export interface Cord { readonly colour: string; readonly clusters: readonly number[]; readonly children: Cord[] }

/** The number that a cord holds: one digit a cluster, the most significant one first. */
export function valueOf({ clusters }: Cord): number {
  return clusters.reduce((value, turns) => 10 * value + turns, 0);
}

export async function* readAll(paths: string[], { signal }: { signal?: AbortSignal } = {}): AsyncGenerator<Cord> {
  for (const path of paths) {
    if (signal?.aborted) throw new Error("reading was aborted");
    const cords = JSON.parse(await readFile(path, "utf8")) as Cord[];
    yield* cords.filter((cord) => cord.clusters.every((turns) => turns >= 0 && turns <= 9));
  }
}

def top_cord_sums(groups: list[list[int]], tops: list[int]) -> Iterator[tuple[int, bool]]:
    """Whether each top cord is the sum of its group."""
    for i, (group, top) in enumerate(zip(groups, tops, strict=True)):
        total = sum(group)
        if total != top and abs(total - top) % 10 == 0:
            print(f"group {i}: {total} != {top}, a knot in the tens?", file=sys.stderr)
        yield i, total == top

template <typename T, size_t kLanes = 16>
[[nodiscard]] inline T sumOf(const std::vector<T>& values) noexcept {
  std::array<T, kLanes> sums{};  // one for each lane, so that the order is fixed
  for (size_t i = 0; i < values.size(); ++i) sums[i % kLanes] += values[i];
  return std::accumulate(sums.begin(), sums.end(), T{0});
}

SELECT c.region, COUNT(*) AS cords, ROUND(AVG(k.turns), 2) AS mean_turns
FROM cords AS c LEFT JOIN knots AS k ON k.cord_id = c.id
WHERE c.colour IN ('white', 'light brown') AND c.length_cm BETWEEN 20 AND 65
GROUP BY c.region HAVING COUNT(*) > 100 ORDER BY mean_turns DESC LIMIT 10;

{"id": "UR-1084", "found": "1986-07-03", "pendants": 128, "subsidiaries": [3, 0, 12, 1], "ratio": 0.3359375,
 "museum": {"name": "Museo Leymebamba", "lat": -6.7236, "lon": -77.8047}, "complete": false, "notes": null}

#!/bin/sh
set -eu
for file in data/*.csv; do
  awk -F, 'NR > 1 && $3 >= 1e3 { n += $3; sum[$1] += $3 } END { for (k in sum) printf "%-12s %8.3f", k, sum[k] / n }' "$file"
done | sort -k2,2nr | head -n 20 > out/totals.txt 2>&1 || exit 1

<ul class="cords" id="main"><li data-turns="7">siete</li><li data-turns="0">&nbsp;</li></ul>

x = (-b + sqrt(b^2 - 4ac)) / 2a;  e^(i*pi) + 1 = 0;  0x1F3A9, 0b1011, 3.14159265358979, 6.022e23, 1_000_000, 192.168.0.1:8080

## El mismo nudo en otras lenguas

Español: Un quipu es un manojo de cuerdas con nudos. Quien sabía leerlo podía decir cuántas llamas tenía cada aldea, y también
cuántas faltaban. ¿Guardaba además historias? Nadie lo sabe todavía; quizá mañana.

Français : Un quipou est un faisceau de cordelettes nouées. L'été dernier, j'en ai vu un à Paris ; la conservatrice m'a dit qu'on
n'avait jamais su le déchiffrer, et que c'était mieux ainsi.

Deutsch: Ein Quipu ist ein Bündel geknüpfter Schnüre. Knotenschriftgelehrte zählten damit Vorräte, Abgaben und Tage; größere
Beträge hingen weiter oben. Überprüft wurde durch Zusammenzählen.

Português: As cordas não falam, mas lembram. Italiano: Perché i nodi più piccoli stanno in fondo? Polski: Każdy węzeł coś
znaczył, choć dziś nie zawsze wiemy, co. Türkçe: Düğümleri okuyan kişi köyün borcunu da bilirdi. Tiếng Việt: Mỗi nút thắt là
một con số, mỗi sợi dây là một câu chuyện. Svenska: Ingen vet längre hur man läser dem. Runasimi: Khipuqa yupanapaqmi karqan.

Русский: Кипу — это связка шнуров с узлами. Узлы считали людей, скот и урожай; тот, кто умел их читать, помнил долги целой
деревни. Українська: Ніхто вже не знає, чи були там і слова.

Ελληνικά: Το κίπου είναι μια δέσμη από σχοινιά με κόμπους. Κάθε κόμπος είναι ένας αριθμός.

עברית: הקיפו הוא צרור של חוטים קשורים. כל קשר הוא מספר, וכל צבע הוא אולי מילה.

العربية: الكيبو حزمة من الحبال المعقودة. كل عقدة رقم، ولا أحد يعرف اليوم إن كانت تحكي قصة أيضا.

हिन्दी: किपु गाँठों वाली डोरियों का एक गुच्छा है। हर गाँठ एक संख्या है, और शायद हर रंग एक शब्द।

বাংলা: প্রতিটি গিঁট একটি সংখ্যা। தமிழ்: ஒவ்வொரு முடிச்சும் ஒரு எண். ไทย: ปมเชือกแต่ละปมคือตัวเลขหนึ่งตัว ქართული: ყოველი კვანძი რიცხვია.

中文：结绳记事是一种古老的方法。每一个结代表一个数字，颜色也许代表一个词；一九一二年，有人发现上面的绳子是下面各绳之和。

日本語：キープは結び目のある紐の束です。結び目は数を表し、色はもしかすると言葉を表していたのかもしれません。昔の人は目を閉じて読みました。

한국어: 키푸는 매듭을 지은 끈의 묶음이다. 매듭 하나하나가 숫자이고, 색깔은 어쩌면 낱말이었을지도 모른다.

So: 147 🧶, 208 🪢, 65 🧵 … and the sum? 420 👍🏽 — "naïve café", coöperate, 5 °C ± 0.5, ½ × 3⁄4 ≈ 0.375, λ → ∞, ∑ xᵢ² ≤ 1, €12,50, ¥3 000, №7, §4(2)(b).
`;
