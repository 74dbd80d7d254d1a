<?php

/**
 * Notices changes that reach a product without a save of it: our fields written by any way, its categories, its brand, the mapping of a
 * category, the tax rates. What a variation says comes in part from its product, so variations are reported with it.
 */

declare(strict_types=1);

namespace Shopbridge\Products;

use Shopbridge\Events\Collector;
use Shopbridge\Events\Recorder;
use Shopbridge\Outbox\Outbox;

class ReportAgain
{
    private const TAXONOMIES = array('product_cat', ProductFields::BRAND_TAXONOMY);

    /** Options that change the tax rate of every product. */
    private const OPTIONS = array('woocommerce_calc_taxes', 'woocommerce_default_country', 'woocommerce_prices_include_tax');

    /** @var Collector */
    private $collector;

    /** @var Recorder */
    private $recorder;

    /** @var Outbox */
    private $outbox;

    /** @var bool */
    private $every = false;

    public function __construct(Collector $collector, Recorder $recorder, Outbox $outbox)
    {
        $this->collector = $collector;
        $this->recorder = $recorder;
        $this->outbox = $outbox;
    }

    public function register(): void
    {
        foreach (array('added', 'updated', 'deleted') as $deed) {
            add_action($deed . '_post_meta', array($this, 'productMeta'), 10, 3);
            add_action($deed . '_term_meta', array($this, 'termMeta'), 10, 3);
            add_action('woocommerce_tax_rate_' . $deed, array($this, 'taxes'));
        }
        add_action('set_object_terms', array($this, 'termsSet'), 10, 6);
        add_action('deleted_term_relationships', array($this, 'termsTaken'), 10, 3);
        add_action('edited_term', array($this, 'termEdited'), 10, 3);
        add_action('updated_option', array($this, 'option'));
        // Before the recorder writes (at 100), and before an action of Action Scheduler ends.
        add_action('shutdown', array($this, 'reportEvery'), 90);
        add_action('action_scheduler_after_execute', array($this, 'reportEvery'), 90, 0);
    }

    /**
     * @param mixed $metaId
     * @param int|string $productId
     * @param mixed $key
     */
    public function productMeta($metaId, $productId, $key): void
    {
        if (in_array($key, ProductFields::ALL, true)) {
            $this->withVariations((int) $productId, $key !== ProductFields::DEALER_PRICE);
        }
    }

    /**
     * @param mixed $metaId
     * @param int|string $termId
     * @param mixed $key
     */
    public function termMeta($metaId, $termId, $key): void
    {
        if ($key === CategoryMapping::META) {
            $this->productsOf((int) $termId, 'product_cat');
        }
    }

    /**
     * @param int|string $objectId
     * @param mixed $terms
     * @param mixed $now
     * @param mixed $taxonomy
     * @param mixed $append
     * @param mixed $before
     */
    public function termsSet($objectId, $terms, $now = array(), $taxonomy = '', $append = false, $before = array()): void
    {
        if (!in_array($taxonomy, self::TAXONOMIES, true)) {
            return;
        }
        $now = array_map('intval', (array) $now);
        $before = array_map('intval', (array) $before);
        $lost = $append ? array() : array_diff($before, $now);
        if (array_diff($now, $before) !== array() || $lost !== array()) {
            $this->withVariations((int) $objectId, true);
        }
    }

    /**
     * @param int|string $objectId
     * @param mixed $terms
     * @param mixed $taxonomy
     */
    public function termsTaken($objectId, $terms, $taxonomy = ''): void
    {
        if (in_array($taxonomy, self::TAXONOMIES, true)) {
            $this->withVariations((int) $objectId, true);
        }
    }

    /**
     * A renamed brand, or a category that moved below another one.
     *
     * @param int|string $termId
     * @param mixed $relation
     * @param mixed $taxonomy
     */
    public function termEdited($termId, $relation, $taxonomy = ''): void
    {
        if (in_array($taxonomy, self::TAXONOMIES, true)) {
            $this->productsOf((int) $termId, (string) $taxonomy);
        }
    }

    public function taxes(): void
    {
        $this->every = true;
    }

    /** @param mixed $option */
    public function option($option): void
    {
        if (in_array($option, self::OPTIONS, true)) {
            $this->every = true;
        }
    }

    /** A table of tax rates is saved row by row; every product is reported once for all of them. */
    public function reportEvery(): void
    {
        if ($this->every) {
            $this->every = false;
            EveryProduct::report($this->outbox, time());
        }
    }

    private function productsOf(int $termId, string $taxonomy): void
    {
        $query = array(
            'post_type' => 'product',
            'post_status' => array('publish', 'private', 'draft', 'pending', 'future'),
            // With the categories below: they say what this one says when they have no mapping of their own.
            'tax_query' => array(array('taxonomy' => $taxonomy, 'field' => 'term_id', 'terms' => array($termId), 'include_children' => true)),
            'fields' => 'ids',
            'numberposts' => -1,
            'suppress_filters' => true,
        );
        foreach (get_posts($query) as $id) {
            $this->withVariations((int) $id, true);
        }
    }

    private function withVariations(int $id, bool $variations): void
    {
        $type = get_post_type($id);
        if ($type !== 'product' && $type !== 'product_variation') {
            return;
        }
        $this->collector->productChanged($id);
        if ($variations && $type === 'product') {
            foreach ($this->variations($id) as $variation) {
                $this->collector->productChanged($variation);
            }
        }
        $this->recorder->writeWhenMany();
    }

    /**
     * @return int[]
     */
    private function variations(int $id): array
    {
        $query = array('post_type' => 'product_variation', 'post_parent' => $id, 'post_status' => array('publish', 'private'));
        return array_map('intval', get_posts($query + array('fields' => 'ids', 'numberposts' => -1)));
    }
}
