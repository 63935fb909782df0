import type { Image, Status } from "../api/types";
import { bytes, sentence } from "../shared/format";
import { ScrollRegion } from "../shared/ScrollRegion";

/** Image sizes, if `deploy` has written a record. */
export function ImagesCard({ images: { state, reason, images } }: Pick<Status, "images">) {
  const largest = Math.max(1, ...images.map((image) => image.bytes));
  const total = images.reduce((sum, image) => sum + image.bytes, 0);
  return (
    <section className="card" aria-labelledby="images">
      <h2 id="images">Image sizes</h2>
      {state !== "ok" && <p className={state === "absent" ? "hint" : "notice wait"}>{sentence(reason)}</p>}
      {state === "ok" && images.length === 0 && <p className="hint">No images recorded.</p>}
      {images.length > 0 && (
        <ScrollRegion label="Table of image sizes">
          <table>
            <thead>
              <tr>
                <th scope="col">Service</th>
                <th scope="col">Edition, variant</th>
                <th scope="col" className="number">
                  Unpacked
                </th>
              </tr>
            </thead>
            <tbody>
              {images.map((image, index) => (
                // biome-ignore lint/suspicious/noArrayIndexKey: a record may contain an image twice.
                <Row key={index} image={image} largest={largest} />
              ))}
            </tbody>
            <tfoot>
              <tr>
                <th scope="row" colSpan={2}>
                  Total (shared layers counted for each image)
                </th>
                <td className="number">{bytes(total)}</td>
              </tr>
            </tfoot>
          </table>
        </ScrollRegion>
      )}
    </section>
  );
}

function Row({ image, largest }: { image: Image; largest: number }) {
  return (
    <tr>
      <th scope="row" title={image.image}>
        {image.service}
      </th>
      <td>
        {image.edition}, {image.variant}
      </td>
      <td className="number">
        {bytes(image.bytes)}
        <svg className="bar" viewBox="0 0 100 4" preserveAspectRatio="none" aria-hidden="true">
          <rect className="bar-all" width="100" height="4" />
          <rect className="bar-part" width={(image.bytes / largest) * 100} height="4" />
        </svg>
      </td>
    </tr>
  );
}
